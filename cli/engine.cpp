#include "engine.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/quote.h"
#include "gpu/native.h"
#include "hub.h"
#include "made_source.h"
#include "sha256.h"
#include "sources/folder.h"
#include "tune/tuning_file.h"

namespace pronk::cli {
namespace {

// The CPU reads files where they lie, when they can be mapped.
Status map_files(Engine& engine, OpenModel& from) {
  if (engine.device()) return {};
  for (u32 file = 0; file < from.files.size(); ++file) {
    PRONK_TRY(const std::shared_ptr<const MappedFile> mapped, from.files[file]->map());
    if (mapped) PRONK_OK(engine.map(file, mapped->bytes(), mapped));
  }
  return {};
}

// Bytes go straight into the engine's own memory: no part of a file is held twice.
Status stream(Engine& engine, OpenModel& from) {
  constexpr u64 part_bytes = 4 << 20;
  PRONK_OK(map_files(engine, from));
  while (!engine.bytes_done()) {
    if (!engine.wants_bytes()) {
      PRONK_OK(turn(engine));
      continue;
    }
    const std::span<u8> space = engine.space();
    const u64 wanted = std::min<u64>({space.size(), part_bytes, engine.stream_end() - engine.position()});
    PRONK_TRY(const u64 got,
              from.files[engine.file()]->read(engine.position(), space.first(wanted), engine.stream_end()));
    if (got == 0)
      return fail("a file of the model ends at byte " + std::to_string(engine.position()) + ", within its tensors");
    PRONK_OK(engine.commit(got));
    if (engine.device()) engine.device()->poll();
  }
  for (const auto& file : from.files) PRONK_OK(file->finish());
  return {};
}

graph::KvType kv_type(std::string_view name) {
  if (name == "f32") return graph::KvType::f32;
  if (name == "q8_0") return graph::KvType::q8;
  return name == "q4_0" ? graph::KvType::q4 : graph::KvType::f16;
}

// models/ of the repository that the program was built in, or models/ beside the program.
Result<std::string> model_in_the_box() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* models : {"../../models", "models"}) {
    const std::filesystem::path path = (folder / models / "pronk-box.gguf").lexically_normal();
    if (std::filesystem::exists(path, error)) return path.string();
  }
  return fail("no -m MODEL is given, and the model in the box is not beside this program");
}

bool parse_context(std::string_view text, u32& context) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), context);
  return error == std::errc() && end == text.data() + text.size() && context >= 1 && context <= 1 << 24;
}

// 1000000, 1000K, 1M, 0.5G
bool parse_bytes(std::string_view text, u64& bytes) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !(value > 0)) return false;
  const std::string_view unit(end, text.size() - std::size_t(end - text.data()));
  const std::size_t power = unit.empty() ? 0 : std::string_view("KMGT").find(unit[0]) + 1;
  if (!unit.empty() && (power == 0 || unit.size() > 1)) return false;
  for (std::size_t i = 0; i < power; ++i) value *= 1000;
  bytes = value < 0x1p63 ? u64(value) : 0;
  return bytes > 0;
}

}  // namespace

std::expected<EngineChoice, Failure> engine_choice(const Args& args, bool scoring) {
  EngineChoice choice;
  choice.location = std::string(args.text("-m"));
  if (choice.location.empty()) {
    PRONK_TRY(choice.location, model_in_the_box());
  }
  choice.source = source_options(args);
  PRONK_TRY(choice.location, find_location(choice.location, choice.source.cache));
  choice.tuning_folder = cache_folder(args);
  choice.backend = args.text("--backend");
  const std::string_view context = args.text("--ctx");
  choice.options.largest_context = context == "auto";
  if (!context.empty() && context != "auto" && !parse_context(context, choice.options.context)) {
    return bad_usage("--ctx is " + quoted(context) + ", neither auto nor a whole number from 1 to 16777216");
  }
  if (args.has("--budget") && !parse_bytes(args.text("--budget"), choice.options.budget)) {
    return bad_usage("--budget is " + quoted(args.text("--budget")) +
                     ", not a number of bytes such as 800000000, 500M or 1.5G");
  }
  const std::string_view keys = args.text("--kv", "f16");
  choice.options.kv = {kv_type(keys), kv_type(args.text("--kv-v", keys))};
  if (args.text("--activations") == "f32") choice.options.activations = graph::Activations::f32;
  choice.options.threads = u32(args.integer("--threads"));
  choice.options.scoring = scoring;
  return choice;
}

namespace {

// One file of a model after the other: its header, and the file.
Status add_header(Model& model, OpenModel& open, const std::string& location, std::unique_ptr<ByteSource> source) {
  PRONK_OK(read_header(*source, location, [&](std::span<const u8> prefix, u64 size) {
    return model.add_header(u32(open.files.size()), prefix, size);
  }));
  open.files.push_back(std::move(source));
  return {};
}

Status add_header(Model& model, OpenModel& open, const std::string& location, const SourceOptions& options) {
  PRONK_TRY(auto source, open_source(location, options));
  return add_header(model, open, location, std::move(source));
}

Result<OpenModel> open_folder(const std::string& folder, const SourceOptions& options) {
  auto model = std::make_shared<Model>();
  OpenModel open;
  PRONK_TRY(SmallFiles files, read_small_files(folder, options));
  if (sources::is_loadable(files[0].first, files[0].second)) {
    for (auto& [name, contents] : files) {
      if (Status added = model->add_file(name, std::move(contents)); !added)
        return fail(added.error().code, folder + ": " + added.error().message);
    }
    for (const std::string& name : model->weight_files()) {
      SourceOptions checked = options;
      checked.md5 = model->weight_md5(u32(open.files.size()));
      PRONK_OK(add_header(*model, open, folder + name, checked));
    }
  } else {
    PRONK_TRY(auto source, source_of(folder, std::move(files)));
    PRONK_TRY(auto made, open_made(folder, std::move(source), options));
    PRONK_OK(add_header(*model, open, folder, std::move(made)));
  }
  if (Status read = model->finish_headers(); !read)
    return fail(read.error().code, folder + ": " + read.error().message);
  open.model = std::move(model);
  return open;
}

}  // namespace

Result<OpenModel> open_headers(const std::string& location, const SourceOptions& options) {
  if (const std::string folder = folder_of(location); !folder.empty()) return open_folder(folder, options);
  auto model = std::make_shared<Model>();
  OpenModel open;
  const std::vector<std::string> parts = part_locations(location);
  for (u32 file = 0; file < std::max<u64>(model->file_count(), 1); ++file) {
    if (file >= parts.size()) return fail("'" + location + "' is one part of a split model but is not named like one");
    PRONK_OK(add_header(*model, open, parts[file], options));
  }
  PRONK_OK(model->finish_headers());
  open.model = std::move(model);
  return open;
}

Result<std::unique_ptr<gpu::Device>> open_device(std::string_view backend, bool timestamps) {
  if (backend == "cpu") return nullptr;
  const bool any = backend == "webgpu";
  auto device = gpu::create_native_device({.hardware_only = !any, .timestamps = timestamps});
  if (device || any) return device;
  std::fprintf(stderr, "pronk: %s; running on the CPU\n", device.error().message.c_str());
  return nullptr;
}

Status turn(Engine& engine) {
  constexpr int most_waits = 1800;  // a chunk of a large prompt on a CPU driver takes minutes
  if (!engine.wants_pump() && engine.device()) {
    for (int i = 0; i < most_waits && !engine.device()->has_event(); ++i)
      gpu::wait(*engine.device(), std::chrono::seconds(1));
    if (!engine.device()->has_event()) return fail("the device has not answered for half an hour");
  }
  return engine.pump();
}

Result<std::unique_ptr<Engine>> open_engine(const EngineChoice& choice) {
  PRONK_TRY(OpenModel open, open_headers(choice.location, choice.source));
  if (open.model->encoder() && !choice.any_model)
    return fail("the model is an encoder and has no logits; pronk embed makes embeddings with it");
  return open_engine(choice, std::move(open));
}

std::string tuning_path(const std::string& folder, const gpu::AdapterInfo& adapter) {
  const std::string name = tune::adapter_name(adapter);
  const std::string digest = hex(sha256({reinterpret_cast<const u8*>(name.data()), name.size()}));
  return (std::filesystem::path(folder) / ("tuning-" + digest.substr(0, 16) + ".txt")).string();
}

// What is not there, is damaged or was measured elsewhere is as if nothing had been measured.
std::shared_ptr<const kernels::Tuning> stored_tuning(const std::string& folder, const gpu::AdapterInfo& adapter) {
  if (folder.empty()) return nullptr;
  const auto text = read_whole(tuning_path(folder, adapter));
  if (!text || !*text) return nullptr;
  auto tuning = tune::parse_tuning(**text, adapter);
  return tuning ? std::make_shared<const kernels::Tuning>(std::move(*tuning)) : nullptr;
}

Result<std::unique_ptr<Engine>> open_engine(const EngineChoice& choice, OpenModel open) {
  PRONK_TRY(auto device, open_device(choice.backend, choice.timestamps));
  LoadOptions options = choice.options;
  if (device) options.tuning = stored_tuning(choice.tuning_folder, device->info());
  PRONK_TRY(auto engine, Engine::create(open.model, options, std::move(device)));
  PRONK_OK(stream(*engine, open));
  PRONK_OK(engine->pump());
  while (!engine->ready()) PRONK_OK(turn(*engine));
  return engine;
}

Status score(Engine& engine, std::span<const u32> tokens, bool by_steps,
             const std::function<Status(std::span<const float> rows)>& take) {
  Session& session = engine.session();
  PRONK_OK(session.score(tokens, by_steps));
  PRONK_OK(engine.pump());
  while (session.running()) {
    const std::span<const float> rows = session.next_rows();
    if (!rows.empty()) {
      PRONK_OK(take(rows));
      PRONK_OK(engine.pump());
    } else if (session.running()) {
      PRONK_OK(turn(engine));
    }
  }
  return {};
}

std::expected<std::vector<u32>, Failure> parse_tokens(std::string_view list) {
  std::vector<u32> tokens;
  for (const char *at = list.data(), *end = at + list.size(); at < end; ++at) {
    u32 token = 0;
    const auto [next, error] = std::from_chars(at, end, token);
    if (error != std::errc() || (next < end && *next != ',') || next + 1 == end) {
      return bad_usage("--tokens wants ids with commas between, such as 1,2,3");
    }
    tokens.push_back(token);
    at = next;
  }
  if (tokens.empty()) return bad_usage("--tokens is empty");
  return tokens;
}

}  // namespace pronk::cli
