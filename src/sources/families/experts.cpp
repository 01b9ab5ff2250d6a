// Transformers with experts: a matrix for each, which GGUF has as one tensor.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr Pairs stacked =
    "ffn_gate_exps.weight stacked ffn_up_exps.weight stacked ffn_down_exps.weight stacked "
    "ffn_gate_inp_shexp.weight flat";
constexpr Pairs expert_names =
    "mlp.gate ffn_gate_inp "
    "mlp.experts.gate_proj ffn_gate_exps mlp.experts.up_proj ffn_up_exps mlp.experts.down_proj ffn_down_exps "
    "mlp.shared_expert_gate ffn_gate_inp_shexp mlp.shared_expert.gate_proj ffn_gate_shexp "
    "mlp.shared_expert.up_proj ffn_up_shexp mlp.shared_expert.down_proj ffn_down_shexp";

constexpr Family families[] = {
    {.model_types = "mixtral",
     .architecture = "llama",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 1000000, "rms_norm_eps": 1e-5, "num_key_value_heads": 8,
                     "max_position_embeddings": 131072, "num_local_experts": 8, "num_experts_per_tok": 2})",
     .names = "block_sparse_moe.gate ffn_gate_inp block_sparse_moe.experts.w1 ffn_gate_exps "
              "block_sparse_moe.experts.w3 ffn_up_exps block_sparse_moe.experts.w2 ffn_down_exps",
     .keys = "num_local_experts expert_count num_experts_per_tok expert_used_count",
     .made = stacked,
     .windows = Windows::all,
     .halves = true},
    {.model_types = "qwen2_moe",
     .architecture = "qwen2moe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
                     "shared_expert_intermediate_size": 5632, "norm_topk_prob": false, "use_sliding_window": false})",
     .names = expert_names,
     .keys = "num_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length "
             "shared_expert_intermediate_size expert_shared_feed_forward_length norm_topk_prob expert_weights_norm",
     .made = stacked},
    {.model_types = "qwen3_moe",
     .architecture = "qwen3moe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
                     "norm_topk_prob": false, "use_sliding_window": false})",
     .names = expert_names,
     .keys = "num_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length norm_topk_prob expert_weights_norm",
     .made = stacked},
    {.model_types = "olmoe",
     .architecture = "olmoe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-5, "max_position_embeddings": 4096,
                     "num_experts": 64, "num_experts_per_tok": 8, "norm_topk_prob": false})",
     .names = expert_names,
     .keys = "num_experts expert_count num_experts_per_tok expert_used_count norm_topk_prob expert_weights_norm",
     .made = stacked},
    {.model_types = "gpt_oss",
     .architecture = "gpt-oss",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 150000, "rms_norm_eps": 1e-5, "head_dim": 64,
                     "max_position_embeddings": 131072, "num_local_experts": 128, "num_experts_per_tok": 4,
                     "sliding_window": 128})",
     .names = "post_attention_layernorm post_attention_norm self_attn.sinks attn_sinks.weight "
              "mlp.router ffn_gate_inp mlp.experts.gate_up_proj_blocks ffn_gate_up_exps.blocks "
              "mlp.experts.gate_up_proj_scales ffn_gate_up_exps.scales "
              "mlp.experts.gate_up_proj_bias ffn_gate_up_exps.bias mlp.experts.down_proj_blocks ffn_down_exps.blocks "
              "mlp.experts.down_proj_scales ffn_down_exps.scales mlp.experts.down_proj_bias ffn_down_exps.bias",
     .keys = "num_local_experts expert_count num_experts_per_tok expert_used_count "
             "intermediate_size expert_feed_forward_length",
     .made = "ffn_gate_up_exps.blocks blocks ffn_gate_up_exps.scales blocks ffn_gate_up_exps.bias interleaved "
             "ffn_down_exps.blocks blocks ffn_down_exps.scales blocks",
     .quantization = "mxfp4",
     .windows = Windows::some},
};

}  // namespace

const std::span<const Family> expert_families = families;

}  // namespace pronk::sources
