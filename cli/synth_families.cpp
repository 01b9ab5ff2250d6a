#include "synth_families.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pronk::cli {
namespace {

float spread(u64 columns) { return 1 / std::sqrt(float(columns)); }

// ---- Gemma 3: norms on both sides of attention and feed-forward; five of six layers see a window

void gemma3_metadata(SynthModel& m) {
  m.keys().add_u32(m.key("attention.sliding_window"), 512);
  m.keys().add_f32(m.key("rope.freq_base_swa"), 10000);
}

void gemma3_layer(SynthModel& m, const std::string& blk, u32) {
  m.add_norm(blk + "attn_norm", m.preset().width);
  m.add_attention(blk);
  m.add_norm(blk + "post_attention_norm", m.preset().width);
  m.add_norm(blk + "ffn_norm", m.preset().width);
  m.add_feed_forward(blk);
  m.add_norm(blk + "post_ffw_norm", m.preset().width);
}

// ---- Qwen3.5: gated delta nets, and gated attention in every fourth layer

constexpr u32 qwen35_state = 128, qwen35_heads = 16, qwen35_kernel = 4, qwen35_interval = 4;

void qwen35_metadata(SynthModel& m) {
  m.keys().add_u32(m.key("ssm.conv_kernel"), qwen35_kernel);
  m.keys().add_u32(m.key("ssm.state_size"), qwen35_state);
  m.keys().add_u32(m.key("ssm.group_count"), qwen35_heads);
  m.keys().add_u32(m.key("ssm.time_step_rank"), qwen35_heads);
  m.keys().add_u32(m.key("ssm.inner_size"), qwen35_heads * qwen35_state);
  m.keys().add_u32(m.key("full_attention_interval"), qwen35_interval);
  m.keys().add_u32(m.key("rope.dimension_count"), m.preset().head_size / 4);
}

void qwen35_delta_net(SynthModel& m, const std::string& blk) {
  const u64 width = m.preset().width, inner = qwen35_heads * qwen35_state;
  m.add_matrix(blk + "attn_qkv", width, 3 * inner);
  m.add_matrix(blk + "attn_gate", width, inner);
  m.add_f32_matrix(blk + "ssm_conv1d.weight", qwen35_kernel, 3 * inner, 0, spread(qwen35_kernel));
  m.add_vector(blk + "ssm_a", qwen35_heads, -0.5f, 0.05f);
  m.add_vector(blk + "ssm_dt.bias", qwen35_heads, -3, 0.3f);
  m.add_matrix(blk + "ssm_alpha", width, qwen35_heads);
  m.add_matrix(blk + "ssm_beta", width, qwen35_heads);
  m.add_norm(blk + "ssm_norm", qwen35_state);
  m.add_matrix(blk + "ssm_out", inner, width);
}

void qwen35_attention(SynthModel& m, const std::string& blk) {
  const SynthPreset& p = m.preset();
  m.add_matrix(blk + "attn_q", p.width, 2 * p.heads * p.head_size);  // queries and their gates
  m.add_matrix(blk + "attn_k", p.width, p.kv_heads * p.head_size);
  m.add_matrix(blk + "attn_v", p.width, p.kv_heads * p.head_size);
  m.add_norm(blk + "attn_q_norm", p.head_size);
  m.add_norm(blk + "attn_k_norm", p.head_size);
  m.add_matrix(blk + "attn_output", p.heads * p.head_size, p.width);
}

void qwen35_layer(SynthModel& m, const std::string& blk, u32 layer) {
  m.add_norm(blk + "attn_norm", m.preset().width);
  (layer + 1) % qwen35_interval == 0 ? qwen35_attention(m, blk) : qwen35_delta_net(m, blk);
  m.add_norm(blk + "post_attention_norm", m.preset().width);
  m.add_feed_forward(blk);
}

// ---- LFM2: short convolutions, and attention in six layers

constexpr u32 lfm2_kernel = 3;
constexpr std::array lfm2_attention{2u, 5u, 8u, 10u, 12u, 14u};

bool lfm2_attends(u32 layer) {
  return std::find(lfm2_attention.begin(), lfm2_attention.end(), layer) != lfm2_attention.end();
}

void lfm2_metadata(SynthModel& m) { m.keys().add_u32(m.key("shortconv.l_cache"), lfm2_kernel); }

void lfm2_layer(SynthModel& m, const std::string& blk, u32 layer) {
  const u32 width = m.preset().width;
  m.add_norm(blk + "attn_norm", width);
  if (lfm2_attends(layer)) {
    m.add_attention(blk);
  } else {
    m.add_f32_matrix(blk + "shortconv.conv.weight", lfm2_kernel, width, 0, spread(lfm2_kernel));
    m.add_matrix(blk + "shortconv.in_proj", width, 3 * width);
    m.add_matrix(blk + "shortconv.out_proj", width, width);
  }
  m.add_norm(blk + "ffn_norm", width);
  m.add_feed_forward(blk);
}

// ---- Granite 4.0 H: Mamba 2, and attention without RoPE in four layers

constexpr u32 granite_state = 128, granite_heads = 48, granite_inner = 1536, granite_kernel = 4;
constexpr std::array granite_attention{10u, 13u, 17u, 27u};

bool granite_attends(u32 layer) {
  return std::find(granite_attention.begin(), granite_attention.end(), layer) != granite_attention.end();
}

void granite_metadata(SynthModel& m) {
  m.keys().add_f32(m.key("attention.scale"), 0.015625f);
  m.keys().add_f32(m.key("embedding_scale"), 12);
  m.keys().add_f32(m.key("residual_scale"), 0.246f);
  m.keys().add_f32(m.key("logit_scale"), 3);
  m.keys().add_u32(m.key("ssm.conv_kernel"), granite_kernel);
  m.keys().add_u32(m.key("ssm.state_size"), granite_state);
  m.keys().add_u32(m.key("ssm.group_count"), 1);
  m.keys().add_u32(m.key("ssm.inner_size"), granite_inner);
  m.keys().add_u32(m.key("ssm.time_step_rank"), granite_heads);
  m.keys().add_bool(m.key("rope.scaling.finetuned"), false);
}

void granite_mamba(SynthModel& m, const std::string& blk) {
  const u64 width = m.preset().width, convolved = granite_inner + 2 * granite_state;
  m.add_matrix(blk + "ssm_in", width, granite_inner + convolved + granite_heads);
  m.add_f32_matrix(blk + "ssm_conv1d.weight", granite_kernel, convolved, 0, spread(granite_kernel));
  m.add_vector(blk + "ssm_conv1d.bias", convolved, 0, 0.1f);
  m.add_vector(blk + "ssm_dt.bias", granite_heads, -3, 0.3f);
  m.add_f32_matrix(blk + "ssm_a", 1, granite_heads, -1, 0.1f);
  m.add_f32_matrix(blk + "ssm_d", 1, granite_heads, 1, 0.1f);
  m.add_f32_matrix(blk + "ssm_norm.weight", granite_inner, 1, 1, 0.05f);
  m.add_matrix(blk + "ssm_out", granite_inner, width);
}

void granite_layer(SynthModel& m, const std::string& blk, u32 layer) {
  m.add_norm(blk + "attn_norm", m.preset().width);
  granite_attends(layer) ? m.add_attention(blk) : granite_mamba(m, blk);
  m.add_norm(blk + "ffn_norm", m.preset().width);
  m.add_feed_forward(blk);
}

// ---- Ministral 3: Llama with YaRN and a temperature that grows with the position

void mistral3_metadata(SynthModel& m) {
  m.keys().add_u32(m.key("rope.dimension_count"), m.preset().head_size);
  m.keys().add_string(m.key("rope.scaling.type"), "yarn");
  m.keys().add_f32(m.key("rope.scaling.factor"), 16);
  m.keys().add_u32(m.key("rope.scaling.original_context_length"), 16384);
  m.keys().add_f32(m.key("rope.scaling.yarn_beta_fast"), 32);
  m.keys().add_f32(m.key("rope.scaling.yarn_beta_slow"), 1);
  m.keys().add_f32(m.key("rope.scaling.yarn_log_multiplier"), 1);
  m.keys().add_f32(m.key("attention.temperature_scale"), 0.1f);
}

// ---- gpt-oss: sinks, biases everywhere, every other layer sees a window

void gpt_oss_metadata(SynthModel& m) {
  m.keys().add_u32(m.key("attention.sliding_window"), 128);
  m.keys().add_string(m.key("rope.scaling.type"), "yarn");
  m.keys().add_f32(m.key("rope.scaling.factor"), 32);
  m.keys().add_u32(m.key("rope.scaling.original_context_length"), 4096);
  m.keys().add_f32(m.key("rope.scaling.yarn_beta_fast"), 32);
  m.keys().add_f32(m.key("rope.scaling.yarn_beta_slow"), 1);
}

void gpt_oss_layer(SynthModel& m, const std::string& blk, u32) {
  const SynthPreset& p = m.preset();
  m.add_norm(blk + "attn_norm", p.width);
  m.add_attention(blk);
  m.add_vector(blk + "attn_output.bias", p.width, 0, 0.1f);
  m.add_vector(blk + "attn_sinks.weight", p.heads, 0, 1);
  m.add_norm(blk + "post_attention_norm", p.width);
  m.add_feed_forward(blk);
  m.add_vector(blk + "ffn_gate_inp.bias", p.experts, 0, 0.1f);
  m.add_f32_matrix(blk + "ffn_gate_exps.bias", p.ff, p.experts, 0, 0.1f);
  m.add_f32_matrix(blk + "ffn_up_exps.bias", p.ff, p.experts, 0, 0.1f);
  m.add_f32_matrix(blk + "ffn_down_exps.bias", p.width, p.experts, 0, 0.1f);
}

void no_metadata(SynthModel&) {}

}  // namespace

const SynthFamily gemma3_family{gemma3_metadata, gemma3_layer};
const SynthFamily qwen35_family{qwen35_metadata, qwen35_layer};
const SynthFamily lfm2_family{lfm2_metadata, lfm2_layer, lfm2_attends, "token_embd_norm"};
const SynthFamily granitehybrid_family{granite_metadata, granite_layer, granite_attends};
const SynthFamily mistral3_family{mistral3_metadata};
const SynthFamily gpt_oss_family{gpt_oss_metadata, gpt_oss_layer};
const SynthFamily qwen3moe_family{no_metadata};

}  // namespace pronk::cli
