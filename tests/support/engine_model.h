// Small models of any shape as GGUF files in memory, with a tokenizer and seeded random weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "files/gguf_writer.h"
#include "formats/format.h"
#include "support/gguf.h"
#include "support/random_weights.h"
#include "text/fixtures.h"

namespace pronk::test {

struct ModelSpec {
  std::string arch = "llama";
  u32 layers = 2, width = 64, feed_forward = 96, vocab = 300;  // at least the 260 tokens of the tokenizer
  u32 heads = 4, kv_heads = 2, dim = 16;
  u32 rotated = 0;  // 0: dim
  float yarn = 0;   // factor of YaRN's context scaling; 0: none
  u32 context = 512;
  u32 pooling = 0;  // pooling_type
  u32 window = 0;   // attention.sliding_window
  bool tied = true, factors = false;
  bool bias = false;                                // llama's optional biases, of q, k, v and the output projection
  std::string matrix = "F32";                       // format of matrices
  std::map<std::string, std::string> formats = {};  // of a tensor's stem ("ffn_up") where it differs
  u32 seed = 1;
  bool shuffled = false;  // tensors in another order, unused ones between them
  u32 splits = 1;
  bool zeros = false;  // no random weights: for tests that compute nothing
};

using ModelFiles = std::vector<std::vector<u8>>;

class ModelMaker {
 public:
  explicit ModelMaker(const ModelSpec& spec) : s_(spec), random_(spec.seed) { list(); }

  ModelFiles files() {
    if (s_.shuffled) shuffle();
    ModelFiles out;
    for (u32 split = 0; split < s_.splits; ++split) out.push_back(file(split));
    return out;
  }

  // The header of an unsplit model, for shapes whose weights no machine holds.
  std::vector<u8> header() const { return writer(0).header(); }

 private:
  struct Tensor {
    std::string name;
    u32 rows, cols;
    std::string format;
  };

  void list() {
    const u32 q = s_.heads * s_.dim, kv = s_.kv_heads * s_.dim;
    matrix("token_embd", s_.vocab, s_.width);
    if (!s_.tied) matrix("output", s_.vocab, s_.width);
    vector("output_norm.weight", s_.width);
    if (s_.factors) vector("rope_freqs.weight", rotated() / 2);
    const bool qkv_bias = s_.bias || s_.arch == "qwen2";
    for (u32 layer = 0; layer < s_.layers; ++layer) {
      const std::string blk = "blk." + std::to_string(layer) + ".";
      vector(blk + "attn_norm.weight", s_.width);
      matrix("attn_q", q, s_.width, blk, qkv_bias);
      matrix("attn_k", kv, s_.width, blk, qkv_bias);
      matrix("attn_v", kv, s_.width, blk, qkv_bias);
      const bool gemma = s_.arch == "gemma3";
      if (gemma || s_.arch == "qwen3") {
        vector(blk + "attn_q_norm.weight", s_.dim), vector(blk + "attn_k_norm.weight", s_.dim);
      }
      if (gemma) vector(blk + "post_attention_norm.weight", s_.width), vector(blk + "post_ffw_norm.weight", s_.width);
      matrix("attn_output", s_.width, q, blk, s_.bias);
      vector(blk + "ffn_norm.weight", s_.width);
      matrix("ffn_gate", s_.feed_forward, s_.width, blk);
      matrix("ffn_up", s_.feed_forward, s_.width, blk);
      matrix("ffn_down", s_.width, s_.feed_forward, blk);
    }
  }

  u32 rotated() const { return s_.rotated ? s_.rotated : s_.dim; }
  void vector(std::string name, u32 cols) { tensors_.push_back({std::move(name), 1, cols, "F32"}); }
  void matrix(const std::string& stem, u32 rows, u32 cols, const std::string& prefix = "", bool bias = false) {
    const auto other = s_.formats.find(stem);
    tensors_.push_back({prefix + stem + ".weight", rows, cols, other == s_.formats.end() ? s_.matrix : other->second});
    if (bias) vector(prefix + stem + ".bias", rows);
  }

  void shuffle() {
    std::shuffle(tensors_.begin(), tensors_.end(), random_);
    for (u32 i = 0; i < 3; ++i) {
      tensors_.insert(tensors_.begin() + i * tensors_.size() / 3, {"unused." + std::to_string(i), 3, 37, "F16"});
    }
  }

  void add_metadata(files::GgufWriter& writer) const {
    writer.add_string("general.architecture", s_.arch);
    const auto key = [&](const char* name) { return s_.arch + "." + name; };
    writer.add_u32(key("block_count"), s_.layers);
    writer.add_u32(key("embedding_length"), s_.width);
    writer.add_u32(key("feed_forward_length"), s_.feed_forward);
    writer.add_u32(key("context_length"), s_.context);
    writer.add_f32(key("attention.layer_norm_rms_epsilon"), 1e-5f);
    writer.add_u32(key("attention.head_count"), s_.heads);
    writer.add_u32(key("attention.head_count_kv"), s_.kv_heads);
    writer.add_u32(key("attention.key_length"), s_.dim);
    writer.add_u32(key("attention.value_length"), s_.dim);
    writer.add_u32(key("rope.dimension_count"), rotated());
    if (s_.window > 0) writer.add_u32(key("attention.sliding_window"), s_.window);
    if (s_.pooling > 0) writer.add_u32(key("pooling_type"), s_.pooling);
    if (s_.yarn > 0) {
      writer.add_string(key("rope.scaling.type"), "yarn");
      writer.add_f32(key("rope.scaling.factor"), s_.yarn);
      writer.add_u32(key("rope.scaling.original_context_length"), 64);
    }
    writer.add_u32("tokenizer.ggml.bos_token_id", 1);
    writer.add_u32("tokenizer.ggml.eos_token_id", 2);
  }

  std::vector<u8> file(u32 split) {
    const u64 begin = tensors_.size() * split / s_.splits;
    return write_gguf(writer(split), [&](u64 i) { return data(tensors_[begin + i]); });
  }

  files::GgufWriter writer(u32 split) const {
    const u64 begin = tensors_.size() * split / s_.splits, end = tensors_.size() * (split + 1) / s_.splits;
    files::GgufWriter writer = split == 0 ? text::sentencepiece_fixture().writer() : files::GgufWriter();
    if (split == 0) add_metadata(writer);
    if (s_.splits > 1) {
      writer.add_u16("split.no", u16(split));
      writer.add_u16("split.count", u16(s_.splits));
      writer.add_i32("split.tensors.count", i32(tensors_.size()));
    }
    for (u64 i = begin; i < end; ++i) {
      const Tensor& tensor = tensors_[i];
      const u64 shape[] = {tensor.cols, tensor.rows};
      writer.add_tensor(tensor.name, formats::find(tensor.format)->ggml_type,
                        std::span(shape, tensor.rows == 1 ? 1 : 2));
    }
    return writer;
  }

  // Matrices of variance 1 / cols, biases around 0, other vectors around 1; every tensor has a seed of its own.
  std::vector<u8> data(const Tensor& tensor) const {
    const formats::Format& format = *formats::find(tensor.format);
    const u64 count = u64(tensor.rows) * tensor.cols;
    if (s_.zeros && !tensor.name.starts_with("rope_freqs"))
      return std::vector<u8>(count / format.block_weights * format.block_bytes);
    const bool bias = tensor.name.ends_with(".bias"), norm = tensor.rows == 1 && !bias;
    const float spread = tensor.rows == 1 ? 0.25f : 1 / std::sqrt(float(tensor.cols));
    const u32 seed = s_.seed * 2654435761u + u32(std::hash<std::string>()(tensor.name));
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> weights(count);
    for (float& weight : weights) weight = (norm ? 1.0f : 0.0f) + spread * normal(random);
    if (tensor.name.starts_with("rope_freqs")) {
      for (float& weight : weights) weight = std::abs(weight) + 0.5f;
    }
    return random_blocks(format, weights, seed, 3 * spread);
  }

  const ModelSpec& s_;
  std::mt19937 random_;
  std::vector<Tensor> tensors_;
};

inline std::vector<u8> model_header(const ModelSpec& spec) { return ModelMaker(spec).header(); }
inline ModelFiles model_files(const ModelSpec& spec) { return ModelMaker(spec).files(); }

}  // namespace pronk::test
