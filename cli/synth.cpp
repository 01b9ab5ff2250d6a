// pronk synth: a GGUF file of a real model's shape with seeded random weights and a made-up vocabulary of the true
// size, for benchmarks without a download. Dimensions are those of the models' published configurations.
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
#include "synth_vocabulary.h"

namespace pronk::cli {

namespace {

struct Preset {
  std::string_view name, title;
  std::string_view architecture;
  u32 layers, width, ff, heads, kv_heads, head_size, context;
  float rope_base, norm_epsilon;
  bool tied;              // the output matrix is the embedding
  bool qkv_bias;
  bool qk_norm;
  float rope_scale;       // Llama 3's factor; 0: no rope_freqs tensor
  VocabularyShape vocabulary;
};

constexpr VocabularyShape smollm_vocabulary = {.pre = "smollm",
                                               .size = 49152,
                                               .special_first = true,
                                               .specials = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
                                               .special_count = 17,
                                               .bos = 1,
                                               .eos = 2};
constexpr VocabularyShape qwen_vocabulary = {.pre = "qwen2",
                                             .size = 151936,
                                             .specials = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
                                             .special_count = 293,  // 151643 and up
                                             .bos = 0,
                                             .eos = 2};
constexpr VocabularyShape llama_vocabulary = {.pre = "llama-bpe",
                                              .size = 128256,
                                              .specials = {"<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>",
                                                           "<|im_end|>"},
                                              .special_count = 256,  // 128000 and up
                                              .bos = 0,
                                              .eos = 3,
                                              .add_bos = true};

constexpr Preset presets[] = {
    {"smollm2-135m", "SmolLM2 135M", "llama", 30, 576, 1536, 9, 3, 64, 8192, 1e5f, 1e-5f, true, false, false, 0,
     smollm_vocabulary},
    {"qwen2.5-0.5b", "Qwen2.5 0.5B", "qwen2", 24, 896, 4864, 14, 2, 64, 32768, 1e6f, 1e-6f, true, true, false, 0,
     qwen_vocabulary},
    {"qwen3-0.6b", "Qwen3 0.6B", "qwen3", 28, 1024, 3072, 16, 8, 128, 40960, 1e6f, 1e-6f, true, false, true, 0,
     qwen_vocabulary},
    {"llama-3.2-1b", "Llama 3.2 1B", "llama", 16, 2048, 8192, 32, 8, 64, 131072, 5e5f, 1e-5f, true, false, false, 32,
     llama_vocabulary},
    {"llama-3.2-3b", "Llama 3.2 3B", "llama", 28, 3072, 8192, 24, 8, 128, 131072, 5e5f, 1e-5f, true, false, false, 32,
     llama_vocabulary},
    {"llama-3.1-8b", "Llama 3.1 8B", "llama", 32, 4096, 14336, 32, 8, 128, 131072, 5e5f, 1e-5f, false, false, false, 8,
     llama_vocabulary},
};

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

struct Tensor {
  std::string name;
  std::vector<u64> shape;
  float mean = 0;
  float deviation = 0;
  const formats::Format* format = nullptr;
  std::vector<float> values = {};  // when not empty: the tensor itself, F32
};

class Synthesizer {
 public:
  Synthesizer(const Preset& preset, const formats::Format& format, u64 seed)
      : preset_(preset), format_(format), seed_(seed), pool_(pool_runs * run_weights) {
    Random random(seed);
    for (float& value : pool_) value = random.normal();
  }

  Status write(const files::Sink& sink) {
    add_metadata();
    list_tensors();
    for (const Tensor& tensor : tensors_) writer_.add_tensor(tensor.name, tensor.format->ggml_type, tensor.shape);
    return writer_.write(sink, [&](u64 index, const files::Sink& out) { return fill(index, out); });
  }

 private:
  void add_metadata() {
    const Preset& p = preset_;
    const std::string arch = std::string(p.architecture) + ".";
    writer_.add_string("general.architecture", p.architecture);
    writer_.add_string("general.name", std::string(p.title) + " shape, random weights");
    writer_.add_string("general.description", "synthetic: seeded random weights, made-up vocabulary");
    writer_.add_u32(arch + "block_count", p.layers);
    writer_.add_u32(arch + "context_length", p.context);
    writer_.add_u32(arch + "embedding_length", p.width);
    writer_.add_u32(arch + "feed_forward_length", p.ff);
    writer_.add_u32(arch + "attention.head_count", p.heads);
    writer_.add_u32(arch + "attention.head_count_kv", p.kv_heads);
    writer_.add_f32(arch + "attention.layer_norm_rms_epsilon", p.norm_epsilon);
    writer_.add_f32(arch + "rope.freq_base", p.rope_base);
    if (p.architecture == "llama") {
      writer_.add_u32(arch + "vocab_size", p.vocabulary.size);
      writer_.add_u32(arch + "rope.dimension_count", p.head_size);
    }
    if (p.rope_scale != 0 || p.qk_norm) {
      writer_.add_u32(arch + "attention.key_length", p.head_size);
      writer_.add_u32(arch + "attention.value_length", p.head_size);
    }
    writer_.add_u32("general.quantization_version", 2);
    add_vocabulary(writer_, p.vocabulary);
  }

  void add_matrix(const std::string& name, u64 columns, u64 rows) {
    tensors_.push_back({name + ".weight", {columns, rows}, 0, 1 / std::sqrt(float(columns)), &format_});
  }

  void add_vector(const std::string& name, u64 size, float mean, float deviation) {
    tensors_.push_back({name, {size}, mean, deviation, formats::find("F32")});
  }

  void list_tensors() {
    const Preset& p = preset_;
    add_matrix("token_embd", p.width, p.vocabulary.size);
    if (p.rope_scale != 0) {
      tensors_.push_back({"rope_freqs.weight", {p.head_size / 2}, 0, 0, formats::find("F32"), rope_factors()});
    }
    for (u32 layer = 0; layer < p.layers; ++layer) list_layer("blk." + std::to_string(layer) + ".");
    add_vector("output_norm.weight", p.width, 1, 0.05f);
    if (!p.tied) add_matrix("output", p.width, p.vocabulary.size);
  }

  void list_layer(const std::string& blk) {
    const Preset& p = preset_;
    const u64 q_width = p.heads * p.head_size, kv_width = p.kv_heads * p.head_size;
    add_vector(blk + "attn_norm.weight", p.width, 1, 0.05f);
    add_matrix(blk + "attn_q", p.width, q_width);
    add_matrix(blk + "attn_k", p.width, kv_width);
    add_matrix(blk + "attn_v", p.width, kv_width);
    add_matrix(blk + "attn_output", q_width, p.width);
    if (p.qkv_bias) {
      add_vector(blk + "attn_q.bias", q_width, 0, 0.1f);
      add_vector(blk + "attn_k.bias", kv_width, 0, 0.1f);
      add_vector(blk + "attn_v.bias", kv_width, 0, 0.1f);
    }
    if (p.qk_norm) {
      add_vector(blk + "attn_q_norm.weight", p.head_size, 1, 0.05f);
      add_vector(blk + "attn_k_norm.weight", p.head_size, 1, 0.05f);
    }
    add_vector(blk + "ffn_norm.weight", p.width, 1, 0.05f);
    add_matrix(blk + "ffn_gate", p.width, p.ff);
    add_matrix(blk + "ffn_up", p.width, p.ff);
    add_matrix(blk + "ffn_down", p.ff, p.width);
  }

  // Llama 3.1's frequency scaling: long waves are stretched by the factor, short ones kept, those between blended.
  std::vector<float> rope_factors() const {
    constexpr double low = 1, high = 4, original_context = 8192;
    std::vector<float> factors(preset_.head_size / 2);
    for (u32 i = 0; i < factors.size(); ++i) {
      const double frequency = std::pow(double(preset_.rope_base), -2.0 * i / preset_.head_size);
      const double turns = original_context * frequency / (2 * std::numbers::pi);  // within the original context
      const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
      factors[i] = float(1 / ((1 - kept) / preset_.rope_scale + kept));
    }
    return factors;
  }

  Status fill(u64 index, const files::Sink& sink) {
    const Tensor& tensor = tensors_[index];
    if (!tensor.values.empty()) {
      return sink({reinterpret_cast<const u8*>(tensor.values.data()), tensor.values.size() * sizeof(float)});
    }
    const formats::Format& format = *tensor.format;
    const u64 run_bytes = run_weights / format.block_weights * format.block_bytes;
    encode_pool(tensor, run_bytes);
    Random random(seed_ ^ ((index + 1) * 0xd1342543de82ef95));
    std::vector<u8> part(part_bytes / run_bytes * run_bytes);
    for (u64 left = writer_.tensor_bytes(index); left > 0;) {
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

  void encode_pool(const Tensor& tensor, u64 run_bytes) {
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

  const Preset& preset_;
  const formats::Format& format_;
  u64 seed_;
  files::GgufWriter writer_;
  std::vector<Tensor> tensors_;
  std::vector<float> pool_;      // standard normal
  std::vector<u8> encoded_;      // the pool as encoded for the last tensor
  const formats::Format* encoded_format_ = nullptr;
  float encoded_mean_ = 0, encoded_deviation_ = 0;
};

Outcome run(const Args& args) {
  const auto preset = std::find_if(std::begin(presets), std::end(presets),
                                   [&](const Preset& each) { return each.name == args.text("--preset"); });
  CHECK(preset != std::end(presets));  // --preset's choices are the presets' names
  const formats::Format* format = formats::find(args.text("--type"));
  if (format == nullptr || format->encode == nullptr) {
    return bad_usage("pronk synth: --type " + std::string(args.text("--type")) + " is not a format pronk can write");
  }
  if (preset->width % format->block_weights != 0) {
    return fail("--type " + std::string(format->name) + " has blocks that a row of " + std::to_string(preset->width) +
                " weights is no multiple of");
  }
  PRONK_TRY(OutputFile out, OutputFile::create(std::string(args.text("--out"))));
  Synthesizer synthesizer(*preset, *format, u64(args.integer("--seed")));
  PRONK_OK(synthesizer.write([&](std::span<const u8> bytes) { return out.write(bytes); }));
  PRONK_OK(out.close());
  return {};
}

constexpr Option options[] = {
    {.name = "--preset",
     .value = "NAME",
     .help = "the model whose shape to take",
     .required = true,
     .choices = "smollm2-135m|qwen2.5-0.5b|qwen3-0.6b|llama-3.2-1b|llama-3.2-3b|llama-3.1-8b"},
    {.name = "--type", .value = "TYPE", .help = "matrices' format, as in Q4_0; vectors are F32", .required = true},
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
