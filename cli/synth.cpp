// pronk synth: a GGUF file of a real model's shape with seeded random weights and a made-up vocabulary of the true
// size, for benchmarks without a download.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/half.h"
#include "commands.h"
#include "file.h"
#include "files/gguf_writer.h"
#include "formats/format.h"
#include "synth_model.h"

namespace pronk::cli {

namespace {

// splitmix64 (Steele, Lea, Flood 2014): any seed gives a good sequence.
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next() {
    u64 z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  float unit() { return (float(next() >> 40) + 0.5f) * 0x1p-24f; }  // inside (0, 1)
  float normal() {                                                  // Box and Muller 1958
    const float radius = std::sqrt(-2 * std::log(unit()));
    return radius * std::cos(2 * std::numbers::pi_v<float> * unit());
  }

 private:
  u64 state_;
};

// A tensor is made of random picks from a pool of encoded runs: as fast as copying, and no two rows alike.
constexpr u32 run_weights = 256;  // a multiple of every block
constexpr u32 pool_runs = 1024;
constexpr u64 part_bytes = u64{1} << 20;

class Synthesizer {
 public:
  Synthesizer(const SynthModel& model, u64 seed) : model_(model), seed_(seed), pool_(pool_runs * run_weights) {
    Random random(seed);
    for (float& value : pool_) value = random.normal();
  }

  Status write(const files::Sink& sink) {
    return model_.writer().write(sink, [&](u64 index, const files::Sink& out) { return fill(index, out); });
  }

 private:
  Status fill(u64 index, const files::Sink& sink) {
    const SynthTensor& tensor = model_.tensors()[index];
    if (!tensor.values.empty()) {
      return sink({reinterpret_cast<const u8*>(tensor.values.data()), tensor.values.size() * sizeof(float)});
    }
    if (!tensor.format) return write_codes(index, sink);
    const formats::Format& format = *tensor.format;
    const u64 run_bytes = run_weights / format.block_weights * format.block_bytes;
    encode_pool(tensor, run_bytes);
    Random random(seed_ ^ ((index + 1) * 0xd1342543de82ef95));
    std::vector<u8> part(part_bytes / run_bytes * run_bytes);
    for (u64 left = model_.writer().tensor_bytes(index); left > 0;) {
      const u64 size = std::min<u64>(left, part.size());
      for (u64 at = 0; at < size; at += run_bytes) {
        const u64 run = random.next() % pool_runs;
        std::copy_n(encoded_.data() + run * run_bytes, std::min(run_bytes, size - at), part.data() + at);
      }
      PRONK_OK(sink({part.data(), static_cast<std::size_t>(size)}));
      left -= size;
    }
    return {};
  }

  Status write_codes(u64 index, const files::Sink& sink) {
    Random random(seed_ ^ ((index + 1) * 0xd1342543de82ef95));
    std::vector<u64> part(part_bytes / sizeof(u64));
    for (u64 left = model_.writer().tensor_bytes(index); left > 0;) {
      for (u64& bits : part) bits = random.next();
      const u64 size = std::min(left, part_bytes);
      PRONK_OK(sink({reinterpret_cast<const u8*>(part.data()), static_cast<std::size_t>(size)}));
      left -= size;
    }
    return {};
  }

  void encode_pool(const SynthTensor& tensor, u64 run_bytes) {
    const bool same_values = tensor.mean == encoded_mean_ && tensor.deviation == encoded_deviation_;
    if (same_values && tensor.format == encoded_format_) return;
    std::vector<float> scaled(pool_.size());
    for (std::size_t i = 0; i < pool_.size(); ++i) scaled[i] = tensor.mean + tensor.deviation * pool_[i];
    encoded_.resize(pool_runs * run_bytes);
    tensor.format->encode(scaled.data(), scaled.size() / tensor.format->block_weights, encoded_.data());
    encoded_format_ = tensor.format;
    encoded_mean_ = tensor.mean;
    encoded_deviation_ = tensor.deviation;
  }

  const SynthModel& model_;
  u64 seed_;
  std::vector<float> pool_;  // standard normal
  std::vector<u8> encoded_;  // the pool as encoded for the last tensor
  const formats::Format* encoded_format_ = nullptr;
  float encoded_mean_ = 0, encoded_deviation_ = 0;
};

Outcome run(const Args& args) {
  const auto presets = synth_presets();
  const auto preset = std::find_if(presets.begin(), presets.end(),
                                   [&](const SynthPreset& each) { return each.name == args.text("--preset"); });
  CHECK(preset != presets.end());  // --preset's choices are the presets' names
  const SynthBooks* books = find_synth_books(args.text("--type"));
  const formats::Format* format = formats::find(books ? "F16" : args.text("--type"));
  if (format == nullptr || format->encode == nullptr) {
    return bad_usage("pronk synth: --type " + std::string(args.text("--type")) + " is not a format pronk can write");
  }
  const SynthModel model(*preset, *format, books);
  if (const SynthTensor* tensor = model.misfit()) {
    return fail("tensor '" + tensor->name + "' has rows of " + std::to_string(tensor->shape[0]) +
                " weights, not a multiple of the " + std::to_string(tensor->format->block_weights) + " in a block of " +
                std::string(tensor->format->name));
  }
  PRONK_TRY(OutputFile out, OutputFile::create(std::string(args.text("--out"))));
  Synthesizer synthesizer(model, u64(args.integer("--seed")));
  PRONK_OK(synthesizer.write([&](std::span<const u8> bytes) { return out.write(bytes); }));
  PRONK_OK(out.close());
  return {};
}

constexpr Option options[] = {
    {.name = "--preset",
     .value = "NAME",
     .help = "the model whose shape to take",
     .required = true,
     .choices = "smollm2-135m|qwen2.5-0.5b|qwen3-0.6b|llama-3.2-1b|llama-3.2-3b|llama-3.1-8b|gemma-3-270m|gemma-3-1b|"
                "qwen3.5-0.8b|"
                "lfm2-350m|granite-4.0-h-350m|smollm3-3b|ministral-3-3b|gpt-oss-20b|qwen3-30b-a3b"},
    {.name = "--type",
     .value = "TYPE",
     .help = "matrices' format, as in Q4_0, or AQLM_2x8 or AQLM_1x16; vectors are F32",
     .required = true},
    {.name = "--out", .value = "FILE", .help = "GGUF file to write", .required = true},
    {.name = "--seed", .kind = OptionKind::integer, .value = "S", .help = "of the random weights; 0 by default"},
};

}  // namespace

const Command synth_command = {
    .name = "synth",
    .summary = "Writes a GGUF of a real model's shape with seeded random weights.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
