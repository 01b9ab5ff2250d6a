#include "synth_model.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "files/ggml_types.h"
#include "synth_families.h"

namespace pronk::cli {

namespace {

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
constexpr VocabularyShape llama_vocabulary = {
    .pre = "llama-bpe",
    .size = 128256,
    .specials = {"<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"},
    .special_count = 256,  // 128000 and up
    .bos = 0,
    .eos = 3,
    .add_bos = true};

constexpr VocabularyShape made_up(std::string_view pre, u32 size) {
  return {.pre = pre,
          .size = size,
          .specials = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"},
          .special_count = 256,
          .bos = 0,
          .eos = 2};
}

constexpr SynthPreset presets[] = {
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
    {"gemma-3-270m", "Gemma 3 270M", "gemma3", 18, 640, 2048, 4, 1, 256, 32768, 1e6f, 1e-6f, true, false, true, 0,
     made_up("qwen2", 262144), &gemma3_family},
    {"gemma-3-1b", "Gemma 3 1B", "gemma3", 26, 1152, 6912, 4, 1, 256, 32768, 1e6f, 1e-6f, true, false, true, 0,
     made_up("qwen2", 262144), &gemma3_family},
    {"qwen3.5-0.8b", "Qwen3.5 0.8B", "qwen35", 24, 1024, 3584, 8, 2, 256, 262144, 1e7f, 1e-6f, true, false, true, 0,
     made_up("qwen35", 248320), &qwen35_family},
    {"lfm2-350m", "LFM2 350M", "lfm2", 16, 1024, 4608, 16, 8, 64, 128000, 1e6f, 1e-5f, true, false, true, 0,
     made_up("lfm2", 65536), &lfm2_family},
    {"granite-4.0-h-350m", "Granite 4.0 H 350M", "granitehybrid", 32, 768, 2048, 12, 4, 64, 32768, 1e4f, 1e-5f, true,
     false, false, 0, made_up("dbrx", 100352), &granitehybrid_family},
    {"smollm3-3b", "SmolLM3 3B", "smollm3", 36, 2048, 11008, 16, 4, 128, 65536, 5e6f, 1e-6f, true, false, false, 0,
     made_up("smaug-bpe", 128256)},
    {"ministral-3-3b", "Ministral 3 3B", "mistral3", 26, 3072, 9216, 32, 8, 128, 262144, 1e6f, 1e-5f, true, false,
     false, 0, made_up("tekken", 131072), &mistral3_family},
    {"gpt-oss-20b",
     "gpt-oss 20B",
     "gpt-oss",
     24,
     2880,
     2880,
     64,
     8,
     64,
     131072,
     1.5e5f,
     1e-5f,
     false,
     true,
     false,
     0,
     made_up("gpt-4o", 201088),
     &gpt_oss_family,
     32,
     4},
    {"qwen3-30b-a3b",
     "Qwen3 30B A3B",
     "qwen3moe",
     48,
     2048,
     768,
     32,
     4,
     128,
     40960,
     1e6f,
     1e-6f,
     false,
     false,
     true,
     0,
     qwen_vocabulary,
     &qwen3moe_family,
     128,
     8},
};

}  // namespace

std::span<const SynthPreset> synth_presets() { return presets; }

SynthModel::SynthModel(const SynthPreset& preset, const formats::Format& format, const SynthBooks* books)
    : preset_(preset), format_(format), books_(books) {
  add_metadata();
  list_tensors();
  if (misfit() != nullptr) return;
  for (const SynthTensor& tensor : tensors_) {
    writer_.add_tensor(tensor.name, tensor.format ? tensor.format->ggml_type : tensor.codes_type, tensor.shape);
  }
}

const SynthTensor* SynthModel::misfit() const {
  const auto splits_a_block = [](const SynthTensor& t) {
    return t.format && t.shape[0] % t.format->block_weights != 0;
  };
  const auto at = std::find_if(tensors_.begin(), tensors_.end(), splits_a_block);
  return at == tensors_.end() ? nullptr : &*at;
}

void SynthModel::add_metadata() {
  const SynthPreset& p = preset_;
  const std::string arch = std::string(p.architecture) + ".";
  writer_.add_string("general.architecture", p.architecture);
  writer_.add_string("general.name", std::string(p.title) + " shape, random weights");
  writer_.add_string("general.description", "synthetic: seeded random weights, made-up vocabulary");
  writer_.add_u32(arch + "block_count", p.layers);
  writer_.add_u32(arch + "context_length", p.context);
  writer_.add_u32(arch + "embedding_length", p.width);
  writer_.add_u32(arch + "feed_forward_length", p.ff);
  writer_.add_u32(arch + "attention.head_count", p.heads);
  add_kv_heads();
  writer_.add_f32(arch + "attention.layer_norm_rms_epsilon", p.norm_epsilon);
  writer_.add_f32(arch + "rope.freq_base", p.rope_base);
  if (p.architecture == "llama") {
    writer_.add_u32(arch + "vocab_size", p.vocabulary.size);
    writer_.add_u32(arch + "rope.dimension_count", p.head_size);
  }
  if (p.rope_scale != 0 || p.qk_norm || p.family) {
    writer_.add_u32(arch + "attention.key_length", p.head_size);
    writer_.add_u32(arch + "attention.value_length", p.head_size);
  }
  if (p.experts > 0) {
    writer_.add_u32(arch + "expert_count", p.experts);
    writer_.add_u32(arch + "expert_used_count", p.experts_used);
    writer_.add_u32(arch + "expert_feed_forward_length", p.ff);
  }
  if (p.family) p.family->metadata(*this);
  writer_.add_u32("general.quantization_version", 2);
  add_vocabulary(writer_, p.vocabulary);
}

// Layers without attention have none: then there is one number a layer.
void SynthModel::add_kv_heads() {
  const SynthPreset& p = preset_;
  const std::string name = key("attention.head_count_kv");
  if (!p.family || !p.family->attends) return writer_.add_u32(name, p.kv_heads);
  std::vector<i32> heads;
  for (u32 layer = 0; layer < p.layers; ++layer) heads.push_back(p.family->attends(layer) ? i32(p.kv_heads) : 0);
  writer_.add_i32s(name, heads);
}

const SynthBooks* find_synth_books(std::string_view name) {
  static constexpr SynthBooks all[] = {{"AQLM_2x8", 2, 8}, {"AQLM_1x16", 1, 16}};
  const auto found = std::ranges::find(all, name, &SynthBooks::name);
  return found == std::end(all) ? nullptr : found;
}

void SynthModel::add_additive(const std::string& name, u64 columns, u64 rows) {
  constexpr u64 group = 8;
  const float deviation = 1 / std::sqrt(float(columns * books_->count));
  tensors_.push_back({.name = name + ".codes",
                      .shape = {books_->count, columns / group, rows},
                      .codes_type = files::find_ggml_type(books_->bits == 8 ? "I8" : "I16")->id});
  tensors_.push_back({.name = name + ".codebooks",
                      .shape = {group, u64{1} << books_->bits, books_->count},
                      .deviation = deviation,
                      .format = formats::find("F16")});
  add_vector(name + ".scales", rows, 1, 0.1f);
}

void SynthModel::add_matrix(const std::string& name, u64 columns, u64 rows) {
  if (books_ && name.starts_with("blk.")) return add_additive(name, columns, rows);
  tensors_.push_back({name + ".weight", {columns, rows}, 0, 1 / std::sqrt(float(columns)), &format_});
}

void SynthModel::add_matrices(const std::string& name, u64 columns, u64 rows, u64 count) {
  tensors_.push_back({name + ".weight", {columns, rows, count}, 0, 1 / std::sqrt(float(columns)), &format_});
}

void SynthModel::add_f32_matrix(const std::string& name, u64 columns, u64 rows, float mean, float deviation) {
  tensors_.push_back({name, {columns, rows}, mean, deviation, formats::find("F32")});
}

void SynthModel::add_vector(const std::string& name, u64 size, float mean, float deviation) {
  tensors_.push_back({name, {size}, mean, deviation, formats::find("F32")});
}

void SynthModel::list_tensors() {
  const SynthPreset& p = preset_;
  add_matrix("token_embd", p.width, p.vocabulary.size);
  if (p.rope_scale != 0) {
    tensors_.push_back({"rope_freqs.weight", {p.head_size / 2}, 0, 0, formats::find("F32"), rope_factors()});
  }
  for (u32 layer = 0; layer < p.layers; ++layer) {
    const std::string blk = "blk." + std::to_string(layer) + ".";
    p.family&& p.family->layer ? p.family->layer(*this, blk, layer) : list_layer(blk);
  }
  add_norm(p.family && !p.family->last_norm.empty() ? std::string(p.family->last_norm) : "output_norm", p.width);
  if (!p.tied) add_matrix("output", p.width, p.vocabulary.size);
}

void SynthModel::list_layer(const std::string& blk) {
  add_norm(blk + "attn_norm", preset_.width);
  add_attention(blk);
  add_norm(blk + "ffn_norm", preset_.width);
  add_feed_forward(blk);
}

void SynthModel::add_attention(const std::string& blk) {
  const SynthPreset& p = preset_;
  const u64 q_width = p.heads * p.head_size, kv_width = p.kv_heads * p.head_size;
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
    add_norm(blk + "attn_q_norm", p.head_size);
    add_norm(blk + "attn_k_norm", p.head_size);
  }
}

void SynthModel::add_feed_forward(const std::string& blk) {
  const SynthPreset& p = preset_;
  if (p.experts == 0) {
    add_matrix(blk + "ffn_gate", p.width, p.ff);
    add_matrix(blk + "ffn_up", p.width, p.ff);
    add_matrix(blk + "ffn_down", p.ff, p.width);
    return;
  }
  add_f32_matrix(blk + "ffn_gate_inp.weight", p.width, p.experts, 0, 1 / std::sqrt(float(p.width)));
  add_matrices(blk + "ffn_gate_exps", p.width, p.ff, p.experts);
  add_matrices(blk + "ffn_up_exps", p.width, p.ff, p.experts);
  add_matrices(blk + "ffn_down_exps", p.ff, p.width, p.experts);
}

// Llama 3.1's frequency scaling: long waves are stretched by the factor, short ones kept, those between blended.
std::vector<float> SynthModel::rope_factors() const {
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

}  // namespace pronk::cli
