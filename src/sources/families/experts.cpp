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

constexpr Pairs latent_names =
    "self_attn.q_a_proj attn_q_a self_attn.q_a_layernorm attn_q_a_norm self_attn.q_b_proj attn_q_b "
    "self_attn.kv_a_proj_with_mqa attn_kv_a_mqa self_attn.kv_a_layernorm attn_kv_a_norm self_attn.kv_b_proj attn_kv_b "
    "mlp.gate ffn_gate_inp mlp.gate.e_score_correction_bias exp_probs_b.bias "
    "mlp.experts.gate_proj ffn_gate_exps mlp.experts.up_proj ffn_up_exps mlp.experts.down_proj ffn_down_exps "
    "mlp.shared_experts.gate_proj ffn_gate_shexp mlp.shared_experts.up_proj ffn_up_shexp "
    "mlp.shared_experts.down_proj ffn_down_shexp";
constexpr Pairs latent_made =
    "ffn_gate_exps.weight stacked ffn_up_exps.weight stacked ffn_down_exps.weight stacked attn_kv_b.weight latent";

constexpr Pairs latent_keys_of_groups =
    "n_routed_experts expert_count num_experts_per_tok expert_used_count "
    "moe_intermediate_size expert_feed_forward_length n_shared_experts expert_shared_count "
    "n_group expert_group_count topk_group expert_group_used_count "
    "routed_scaling_factor expert_weights_scale norm_topk_prob expert_weights_norm gating expert_gating_func "
    "kv_lora_rank attention.kv_lora_rank q_lora_rank attention.q_lora_rank "
    "qk_rope_head_dim rope.dimension_count v_head_dim attention.value_length_mla "
    "qk_head_dims attention.key_length_mla";
constexpr std::string_view deepseek_v2_defaults =
    R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048,
                     "moe_intermediate_size": 1407, "n_routed_experts": 64, "num_experts_per_tok": 6,
                     "routed_scaling_factor": 1, "norm_topk_prob": false, "kv_lora_rank": 512, "q_lora_rank": 1536,
                     "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "gating": 1,
                     "topk_method": "greedy", "head_dim": 64})";

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
     .aliases = "num_experts num_local_experts",
     .made = stacked},
    {.model_types = "qwen3_vl_moe_text",
     .architecture = "qwen3moe",
     .activations = "silu",
     .defaults =
         R"({"hidden_act": "silu", "rope_theta": 500000, "rms_norm_eps": 1e-6, "max_position_embeddings": 128000,
                     "head_dim": 128, "num_key_value_heads": 16, "num_experts": 60, "num_experts_per_tok": 4,
                     "moe_intermediate_size": 1408})",
     .names = "mlp.gate ffn_gate_inp mlp.experts.gate_up_proj ffn_gate_up_exps mlp.experts.down_proj ffn_down_exps",
     .keys = "num_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length",
     .aliases = "num_experts num_local_experts",
     .made = "ffn_gate_up_exps.weight by_inputs ffn_down_exps.weight by_inputs",
     .rope_types = "mrope"},
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
                     "sliding_window": 128, "rope_parameters": {"rope_type": "yarn", "factor": 32, "beta_fast": 32,
                     "beta_slow": 1, "truncate": false, "original_max_position_embeddings": 4096}})",
     .names = "post_attention_layernorm post_attention_norm self_attn.sinks attn_sinks.weight "
              "mlp.router ffn_gate_inp mlp.experts.gate_up_proj ffn_gate_up_exps "
              "mlp.experts.down_proj ffn_down_exps mlp.experts.gate_up_proj_blocks ffn_gate_up_exps.blocks "
              "mlp.experts.gate_up_proj_scales ffn_gate_up_exps.scales "
              "mlp.experts.gate_up_proj_bias ffn_gate_up_exps.bias mlp.experts.down_proj_blocks ffn_down_exps.blocks "
              "mlp.experts.down_proj_scales ffn_down_exps.scales mlp.experts.down_proj_bias ffn_down_exps.bias",
     .keys = "num_local_experts expert_count num_experts_per_tok expert_used_count "
             "intermediate_size expert_feed_forward_length",
     .only = "swiglu_alpha 1.702 swiglu_limit 7",
     .made = "ffn_gate_up_exps.blocks blocks ffn_gate_up_exps.scales blocks ffn_gate_up_exps.bias interleaved "
             "ffn_down_exps.blocks blocks ffn_down_exps.scales blocks "
             "ffn_gate_up_exps.weight transposed_by_turns ffn_down_exps.weight transposed",
     .quantization = "mxfp4",
     .windows = Windows::some},
    {.model_types = "deepseek_v2",
     .architecture = "deepseek2",
     .activations = "silu",
     .defaults = deepseek_v2_defaults,
     .names = latent_names,
     .keys = "n_routed_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length n_shared_experts expert_shared_count "
             "routed_scaling_factor expert_weights_scale norm_topk_prob expert_weights_norm gating expert_gating_func "
             "kv_lora_rank attention.kv_lora_rank q_lora_rank attention.q_lora_rank "
             "qk_rope_head_dim rope.dimension_count v_head_dim attention.value_length_mla "
             "qk_head_dims attention.key_length_mla",
     .computed = "qk_head_dims qk_nope_head_dim+qk_rope_head_dim",
     .only = "topk_method greedy norm_topk_prob false",
     .made = latent_made,
     .variants = "topk_method=group_limited_greedy deepseek_v2.groups",
     .latent = true},
    {.model_types = "deepseek_v2.groups",
     .architecture = "deepseek2",
     .activations = "silu",
     .defaults = deepseek_v2_defaults,
     .names = latent_names,
     .keys = latent_keys_of_groups,
     .computed = "qk_head_dims qk_nope_head_dim+qk_rope_head_dim",
     .only = "norm_topk_prob false",
     .made = latent_made,
     .latent = true},
    {.model_types = "deepseek_v3",
     .architecture = "deepseek2",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 4096,
                     "moe_intermediate_size": 2048, "n_routed_experts": 256, "num_experts_per_tok": 8,
                     "n_shared_experts": 1, "n_group": 8, "topk_group": 4,
                     "routed_scaling_factor": 2.5, "norm_topk_prob": true, "kv_lora_rank": 512, "q_lora_rank": 1536,
                     "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "gating": 2,
                     "head_dim": 64})",
     .names = latent_names,
     .keys = latent_keys_of_groups,
     .computed = "qk_head_dims qk_nope_head_dim+qk_rope_head_dim",
     .only = "rope_interleave true topk_method noaux_tc scoring_func sigmoid",
     .made = latent_made,
     .latent = true},
    {.model_types = "glm4_moe",
     .architecture = "glm4moe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-5, "max_position_embeddings": 131072,
                     "moe_intermediate_size": 1408, "n_routed_experts": 128, "num_experts_per_tok": 8,
                     "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1,
                     "norm_topk_prob": true, "gating": 2, "partial_rotary_factor": 0.5, "num_key_value_heads": 8})",
     .names = "post_attention_layernorm post_attention_norm "
              "mlp.gate ffn_gate_inp mlp.gate.e_score_correction_bias exp_probs_b.bias "
              "mlp.experts.gate_proj ffn_gate_exps mlp.experts.up_proj ffn_up_exps mlp.experts.down_proj ffn_down_exps "
              "mlp.shared_experts.gate_proj ffn_gate_shexp mlp.shared_experts.up_proj ffn_up_shexp "
              "mlp.shared_experts.down_proj ffn_down_shexp",
     .keys = "n_routed_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length n_shared_experts expert_shared_count "
             "n_group expert_group_count topk_group expert_group_used_count "
             "routed_scaling_factor expert_weights_scale norm_topk_prob expert_weights_norm gating expert_gating_func",
     .made = stacked},
    {.model_types = "ernie4_5_moe",
     .architecture = "ernie4_5-moe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 500000, "rms_norm_eps": 1e-5, "num_key_value_heads": 4,
                     "max_position_embeddings": 131072, "moe_intermediate_size": 1536, "moe_k": 6,
                     "moe_num_experts": 64, "moe_num_shared_experts": 2, "tie_word_embeddings": true})",
     .names = "mlp.gate ffn_gate_inp mlp.moe_statics.e_score_correction_bias exp_probs_b.bias "
              "mlp.experts.gate_proj ffn_gate_exps mlp.experts.up_proj ffn_up_exps mlp.experts.down_proj ffn_down_exps "
              "mlp.shared_experts.gate_proj ffn_gate_shexp mlp.shared_experts.up_proj ffn_up_shexp "
              "mlp.shared_experts.down_proj ffn_down_shexp",
     .keys = "moe_num_experts expert_count moe_k expert_used_count moe_intermediate_size expert_feed_forward_length "
             "moe_num_shared_experts expert_shared_count",
     .made = "ffn_gate_exps.weight stacked ffn_up_exps.weight stacked ffn_down_exps.weight stacked "
             "exp_probs_b.bias flat"},
};

}  // namespace

const std::span<const Family> expert_families = families;

}  // namespace pronk::sources
