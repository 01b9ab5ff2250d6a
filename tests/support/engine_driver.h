// Loads models from memory into engines and drives them, on any device: each wait has a bound.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "engine/decode_pace.h"
#include "gpu/native.h"
#include "gpu/null.h"
#include "kernels/kernels.h"
#include "pronk/pronk.h"
#include "support/engine_model.h"

namespace pronk::test {

using SharedModel = std::shared_ptr<const Model>;

inline Result<SharedModel> open_model(const ModelFiles& files) {
  auto model = std::make_shared<Model>();
  for (u32 i = 0; i < files.size(); ++i) {
    PRONK_TRY(const u64 needed, model->add_header(i, files[i], files[i].size()));
    if (needed != 0) return fail("a header needs more bytes");
  }
  PRONK_OK(model->finish_headers());
  return SharedModel(model);
}

inline SharedModel make_model(const ModelSpec& spec) {
  auto model = open_model(model_files(spec));
  EXPECT_TRUE(model.has_value()) << model.error().message;
  return model ? *model : nullptr;
}

// From a header alone, with the weights of a file of unknown size.
inline Result<SharedModel> open_header(const std::vector<u8>& header) {
  auto model = std::make_shared<Model>();
  PRONK_TRY(const u64 needed, model->add_header(0, header, ~u64{0}));
  if (needed != 0) return fail("a header needs more bytes");
  PRONK_OK(model->finish_headers());
  return SharedModel(model);
}

// Lets things happen for a moment and pumps; the null device needs no moment.
inline Status turn(Engine& engine) {
  gpu::Device* device = engine.device();
  if (device && device->info().vendor != "null") {
    for (u32 i = 0; i < 6000 && !device->has_event(); ++i) gpu::wait(*device, std::chrono::milliseconds(100));
    if (!device->has_event()) return fail("the device has been silent for half a minute");
  }
  return engine.pump();
}

// How many bytes of those that fit to feed next.
using FeedSize = std::function<u64(u64 fits)>;

inline Status feed(Engine& engine, const ModelFiles& files, const FeedSize& size = [](u64 fits) { return fits; }) {
  u64 left = 0;  // no byte is wanted twice
  for (const auto& file : files) left += file.size();
  while (!engine.bytes_done()) {
    if (!engine.wants_bytes()) {
      PRONK_OK(turn(engine));
      if (!engine.wants_bytes()) return fail("the engine takes no bytes");
    }
    const std::span<u8> space = engine.space();
    const u64 fits = std::min<u64>(space.size(), engine.stream_end() - engine.position());
    if (fits == 0) return fail("the loader has no room or wants nothing");
    const u64 bytes = std::clamp<u64>(size(fits), 1, fits);
    const auto& file = files[engine.file()];
    if (engine.position() + bytes > file.size()) return fail("the loader reads beyond the end of a file");
    if (bytes > left) return fail("the loader wants more bytes than there are");
    left -= bytes;
    std::memcpy(space.data(), file.data() + engine.position(), bytes);
    PRONK_OK(engine.commit(bytes));
  }
  return engine.pump();
}

inline Status wait_ready(Engine& engine) {
  for (u32 i = 0; i < 1000 && !engine.ready(); ++i) PRONK_OK(turn(engine));
  return engine.ready() ? Status() : fail("the engine does not get ready");
}

inline Result<std::unique_ptr<Engine>> load(const ModelFiles& files, const LoadOptions& options,
                                            std::unique_ptr<gpu::Device> device) {
  PRONK_TRY(auto model, open_model(files));
  PRONK_TRY(auto engine, Engine::create(model, options, std::move(device)));
  PRONK_OK(feed(*engine, files));
  PRONK_OK(wait_ready(*engine));
  return engine;
}

// All further tokens of the running generation.
inline Result<std::vector<u32>> finish_generation(Engine& engine) {
  std::vector<u32> tokens;
  Session& session = engine.session();
  for (u32 idle = 0; session.running() && idle < 10000; ++idle) {
    u32 token = 0;
    while (session.next(token)) tokens.push_back(token), idle = 0;
    if (session.running()) PRONK_OK(turn(engine));
  }
  if (session.running()) return fail("the generation does not end");
  return tokens;
}

inline Result<std::vector<u32>> generate(Engine& engine, std::span<const u32> prompt, const GenerateOptions& options) {
  PRONK_OK(engine.session().start(prompt, options));
  PRONK_OK(engine.pump());
  return finish_generation(engine);
}

// Logits of all positions.
inline Result<std::vector<float>> score(Engine& engine, std::span<const u32> tokens, bool by_steps) {
  Session& session = engine.session();
  PRONK_OK(session.score(tokens, by_steps));
  PRONK_OK(engine.pump());
  std::vector<float> logits;
  for (u32 idle = 0; session.running() && idle < 10000; ++idle) {
    const std::span<const float> rows = session.next_rows();
    logits.insert(logits.end(), rows.begin(), rows.end());
    if (rows.empty()) {
      PRONK_OK(turn(engine));
    } else {
      PRONK_OK(engine.pump());
    }
  }
  if (session.running()) return fail("the scoring does not end");
  return logits;
}

inline std::vector<u32> some_tokens(u32 count, u32 seed, u32 vocab) {
  std::mt19937 random(seed);
  std::vector<u32> tokens(count);
  for (u32& token : tokens) token = random() % vocab;
  return tokens;
}

// An engine on a null device, whose every sampled token is what `sampled` says (zeros at first).
struct NullEngine {
  gpu::NullDevice* device = nullptr;
  std::unique_ptr<Engine> engine;
  std::shared_ptr<std::function<u32()>> sampled = std::make_shared<std::function<u32()>>([] { return 0u; });

  static Result<NullEngine> create(SharedModel model, const LoadOptions& options, gpu::NullOptions null = {}) {
    NullEngine result;
    null.read_bytes = [sampled = result.sampled](gpu::BufferId, u64, u64 size) {
      std::vector<u8> bytes(size);
      if (size > engine::DecodePace::most_tokens * 4) return bytes;  // not a read of tokens
      for (u64 at = 0; at < size; at += 4) {
        const u32 token = (*sampled)();
        std::memcpy(&bytes[at], &token, 4);
      }
      return bytes;
    };
    auto device = std::make_unique<gpu::NullDevice>(std::move(null));
    result.device = device.get();
    PRONK_TRY(result.engine, Engine::create(std::move(model), options, std::move(device)));
    return result;
  }

  static Result<NullEngine> load(const ModelFiles& files, const LoadOptions& options, gpu::NullOptions null = {}) {
    PRONK_TRY(auto model, open_model(files));
    PRONK_TRY(NullEngine result, create(std::move(model), options, std::move(null)));
    PRONK_OK(feed(*result.engine, files));
    return result;
  }

  // Tokens that the submissions from `first` on prefill: those with a GEMM or with matvecs of several tokens.
  u32 prefilled(std::size_t first) const {
    u32 tokens = 0;
    for (std::size_t i = first; i < device->submissions().size(); ++i) {
      const auto& dispatches = device->submissions()[i].dispatches;
      const auto label = [&](const auto& d) -> std::string_view { return device->pipeline(d.pipeline).desc.label; };
      const std::string batch = "TOKENS=" + std::to_string(kernels::batch_tokens);
      const bool prefill = std::any_of(dispatches.begin(), dispatches.end(), [&](const auto& d) {
        return label(d).starts_with("gemm") || label(d).find(batch) != std::string_view::npos;
      });
      if (prefill && label(dispatches[0]).starts_with("embed")) tokens += dispatches[0].y;
    }
    return tokens;
  }
};

}  // namespace pronk::test
