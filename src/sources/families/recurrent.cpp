// Layers with a state of their own: state spaces and short convolutions, alone or beside attention.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr Pairs lfm2_names =
    "embedding_norm token_embd_norm operator_norm attn_norm ffn_norm ffn_norm "
    "self_attn.out_proj attn_output self_attn.q_layernorm attn_q_norm self_attn.k_layernorm attn_k_norm "
    "conv.conv shortconv.conv conv.in_proj shortconv.in_proj conv.out_proj shortconv.out_proj "
    "feed_forward.w1 ffn_gate feed_forward.w3 ffn_up feed_forward.w2 ffn_down "
    "feed_forward.gate ffn_gate_inp feed_forward.expert_bias exp_probs_b.bias feed_forward.experts.w1 ffn_gate_exps "
    "feed_forward.experts.w3 ffn_up_exps feed_forward.experts.w2 ffn_down_exps";

constexpr std::string_view granite_defaults =
    R"({"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000, "max_position_embeddings": 2048,
        "num_local_experts": 8, "num_experts_per_tok": 2, "embedding_multiplier": 1, "logits_scaling": 1,
        "residual_multiplier": 1, "attention_multiplier": 1, "mamba_n_heads": 128, "mamba_n_groups": 1,
        "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_expand": 2, "shared_intermediate_size": 1024,
        "position_embedding_type": "nope"})";
constexpr Pairs granite_names =
    "block_sparse_moe.router.layer ffn_gate_inp block_sparse_moe.input_linear ffn_gate_up_exps "
    "block_sparse_moe.output_linear ffn_down_exps shared_mlp.input_linear ffn_gate_up_shexp "
    "shared_mlp.output_linear ffn_down_shexp mamba.in_proj ssm_in mamba.conv1d ssm_conv1d mamba.dt_bias ssm_dt.bias "
    "mamba.A_log ssm_a mamba.D ssm_d mamba.norm ssm_norm mamba.out_proj ssm_out";
constexpr Pairs granite_keys =
    "num_local_experts expert_count num_experts_per_tok expert_used_count embedding_multiplier embedding_scale "
    "residual_multiplier residual_scale attention_multiplier attention.scale logits_scaling logit_scale";
constexpr Pairs granite_shared_keys =
    "num_local_experts expert_count num_experts_per_tok expert_used_count embedding_multiplier embedding_scale "
    "residual_multiplier residual_scale attention_multiplier attention.scale logits_scaling logit_scale "
    "shared_intermediate_size expert_shared_feed_forward_length";
constexpr Pairs granite_hybrid_keys =
    "num_local_experts expert_count num_experts_per_tok expert_used_count embedding_multiplier embedding_scale "
    "residual_multiplier residual_scale attention_multiplier attention.scale logits_scaling logit_scale "
    "shared_intermediate_size expert_shared_feed_forward_length mamba_d_state ssm.state_size "
    "mamba_d_conv ssm.conv_kernel mamba_n_heads ssm.time_step_rank mamba_n_groups ssm.group_count inner ssm.inner_size";
constexpr Pairs granite_made =
    "ffn_gate_up_exps.weight halves ffn_gate_up_shexp.weight halves ffn_gate_up.weight halves "
    "ssm_a logs+column ssm_d column ssm_conv1d.weight flat";

constexpr Pairs qwen35_names =
    "post_attention_layernorm post_attention_norm linear_attn.in_proj_qkv attn_qkv linear_attn.in_proj_z attn_gate "
    "linear_attn.in_proj_a ssm_alpha linear_attn.in_proj_b ssm_beta linear_attn.conv1d ssm_conv1d "
    "linear_attn.A_log ssm_a linear_attn.dt_bias ssm_dt.bias linear_attn.norm ssm_norm linear_attn.out_proj ssm_out "
    "mlp.gate ffn_gate_inp mlp.experts.gate_up_proj ffn_gate_up_exps "
    "mlp.experts.gate_proj ffn_gate_exps mlp.experts.up_proj ffn_up_exps mlp.experts.down_proj ffn_down_exps "
    "mlp.shared_expert_gate ffn_gate_inp_shexp mlp.shared_expert.gate_proj ffn_gate_shexp "
    "mlp.shared_expert.up_proj ffn_up_shexp mlp.shared_expert.down_proj ffn_down_shexp";
constexpr Pairs qwen35_made =
    "ssm_a logs ssm_conv1d.weight flat ffn_gate_up_exps.weight halves ffn_gate_exps.weight stacked "
    "ffn_up_exps.weight stacked ffn_down_exps.weight stacked ffn_gate_inp_shexp.weight flat";

constexpr Family families[] = {
    {.model_types = "lfm2",
     .architecture = "lfm2",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "norm_eps": 1e-5, "rope_theta": 1000000, "num_key_value_heads": 8,
                     "max_position_embeddings": 128000, "conv_L_cache": 3, "tie_word_embeddings": true,
                     "block_auto_adjust_ff_dim": true, "block_multiple_of": 256, "block_ffn_dim_multiplier": 1})",
     .names = lfm2_names,
     .keys = "conv_L_cache shortconv.l_cache",
     .aliases = "rms_norm_eps norm_eps intermediate_size block_ff_dim",
     .made = "shortconv.conv.weight flat",
     .recurrent = "conv"},
    {.model_types = "lfm2_moe",
     .architecture = "lfm2moe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "norm_eps": 1e-5, "rope_theta": 1000000, "num_key_value_heads": 8,
                     "max_position_embeddings": 128000, "conv_L_cache": 3, "tie_word_embeddings": true,
                     "num_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 1792, "gating": 2,
                     "norm_topk_prob": true, "routed_scaling_factor": 1})",
     .names = lfm2_names,
     .keys = "conv_L_cache shortconv.l_cache num_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length gating expert_gating_func "
             "norm_topk_prob expert_weights_norm routed_scaling_factor expert_weights_scale",
     .aliases = "rms_norm_eps norm_eps",
     .made = "shortconv.conv.weight flat ffn_gate_exps.weight stacked ffn_up_exps.weight stacked "
             "ffn_down_exps.weight stacked",
     .recurrent = "conv"},
    {.model_types = "granitemoe",
     .architecture = "granitemoe",
     .activations = "silu",
     .defaults = granite_defaults,
     .names = granite_names,
     .keys = granite_keys,
     .made = "ffn_gate_up_exps.weight halves",
     .halves = true},
    {.model_types = "granitemoeshared",
     .architecture = "granitemoe",
     .activations = "silu",
     .defaults = granite_defaults,
     .names = granite_names,
     .keys = granite_shared_keys,
     .made = "ffn_gate_up_exps.weight halves ffn_gate_up_shexp.weight halves",
     .halves = true},
    {.model_types = "granitemoehybrid",
     .architecture = "granitehybrid",
     .activations = "silu",
     .defaults = granite_defaults,
     .names = granite_names,
     .keys = granite_hybrid_keys,
     .computed = "inner mamba_expand*hidden_size",
     .made = granite_made,
     .variants = "num_local_experts granitemoehybrid.dense",
     .recurrent = "mamba linear_attention",
     .halves = true},
    {.model_types = "granitemoehybrid.dense",
     .architecture = "granitehybrid",
     .activations = "silu",
     .defaults = granite_defaults,
     .names = granite_names,
     .keys = granite_hybrid_keys,
     .aliases = "intermediate_size shared_intermediate_size",
     .computed = "inner mamba_expand*hidden_size",
     .made = granite_made,
     .recurrent = "mamba linear_attention",
     .halves = true},
    {.model_types = "mamba",
     .architecture = "mamba",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "layer_norm_epsilon": 1e-5, "state_size": 16, "conv_kernel": 4,
                     "max_position_embeddings": 1048576, "tie_word_embeddings": true, "expand": 2, "head_dim": 0,
                     "none": 0})",
     .names = "embeddings token_embd norm_f output_norm norm attn_norm mixer.in_proj ssm_in mixer.conv1d ssm_conv1d "
              "mixer.x_proj ssm_x mixer.dt_proj ssm_dt mixer.A_log ssm_a mixer.D ssm_d mixer.out_proj ssm_out",
     .keys = "state_size ssm.state_size conv_kernel ssm.conv_kernel inner ssm.inner_size "
             "time_step_rank ssm.time_step_rank",
     .aliases = "rms_norm_eps layer_norm_epsilon",
     .computed = "inner expand*hidden_size num_attention_heads 1 intermediate_size none",
     .made = "ssm_a logs ssm_conv1d.weight flat"},
    {.model_types = "mamba2",
     .architecture = "mamba2",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "layer_norm_epsilon": 1e-5, "state_size": 128, "conv_kernel": 4,
                     "max_position_embeddings": 1048576, "tie_word_embeddings": false, "expand": 2, "head_dim": 64,
                     "num_heads": 128, "n_groups": 8, "none": 0})",
     .names = "embeddings token_embd norm_f output_norm norm attn_norm mixer.in_proj ssm_in mixer.conv1d ssm_conv1d "
              "mixer.dt_bias ssm_dt.bias mixer.A_log ssm_a mixer.D ssm_d mixer.norm ssm_norm mixer.out_proj ssm_out",
     .keys = "state_size ssm.state_size conv_kernel ssm.conv_kernel inner ssm.inner_size "
             "num_heads ssm.time_step_rank n_groups ssm.group_count",
     .aliases = "rms_norm_eps layer_norm_epsilon",
     .computed = "inner expand*hidden_size num_attention_heads 1 intermediate_size none",
     .made = "ssm_a logs+column ssm_d column ssm_conv1d.weight flat"},
    {.model_types = "qwen3_next",
     .architecture = "qwen3next",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "head_dim": 256, "num_key_value_heads": 2, "partial_rotary_factor": 0.25, "num_experts": 512,
                     "num_experts_per_tok": 10, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
                     "norm_topk_prob": true, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
                     "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4,
                     "full_attention_interval": 4})",
     .names = "post_attention_layernorm post_attention_norm linear_attn.in_proj_qkvz attn_qkvz "
              "linear_attn.in_proj_ba ssm_ba linear_attn.conv1d ssm_conv1d linear_attn.A_log ssm_a "
              "linear_attn.dt_bias ssm_dt.bias linear_attn.norm ssm_norm linear_attn.out_proj ssm_out "
              "mlp.gate ffn_gate_inp "
              "mlp.experts.gate_proj ffn_gate_exps mlp.experts.up_proj ffn_up_exps mlp.experts.down_proj ffn_down_exps "
              "mlp.shared_expert_gate ffn_gate_inp_shexp mlp.shared_expert.gate_proj ffn_gate_shexp "
              "mlp.shared_expert.up_proj ffn_up_shexp mlp.shared_expert.down_proj ffn_down_shexp",
     .keys = "num_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length "
             "shared_expert_intermediate_size expert_shared_feed_forward_length norm_topk_prob expert_weights_norm "
             "linear_num_key_heads ssm.group_count linear_num_value_heads ssm.time_step_rank "
             "linear_key_head_dim ssm.state_size inner ssm.inner_size linear_conv_kernel_dim ssm.conv_kernel",
     .computed = "inner linear_value_head_dim*linear_num_value_heads",
     .made = "attn_qkvz.weight qkvz ssm_a logs ssm_conv1d.weight flat ffn_gate_exps.weight stacked "
             "ffn_up_exps.weight stacked ffn_down_exps.weight stacked ffn_gate_inp_shexp.weight flat",
     .recurrent = "linear_attention",
     .norms_from_one = true},
    {.model_types = "falcon_h1",
     .architecture = "falcon-h1",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-5, "num_key_value_heads": 8,
                     "max_position_embeddings": 8192, "mamba_d_ssm": 1024, "mamba_n_heads": 128, "mamba_n_groups": 1,
                     "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_expand": 2})",
     .names =
         "pre_ff_layernorm ffn_norm final_layernorm output_norm feed_forward.gate_proj ffn_gate "
         "feed_forward.up_proj ffn_up feed_forward.down_proj ffn_down mamba.in_proj ssm_in mamba.conv1d ssm_conv1d "
         "mamba.dt_bias ssm_dt.bias mamba.A_log ssm_a mamba.D ssm_d mamba.out_proj ssm_out",
     .keys = "mamba_d_state ssm.state_size mamba_d_conv ssm.conv_kernel mamba_n_heads ssm.time_step_rank "
             "mamba_n_groups ssm.group_count mamba_d_ssm ssm.inner_size "
             "embedding_multiplier multiplier.embedding lm_head_multiplier multiplier.logits "
             "key_multiplier multiplier.key attention_in_multiplier multiplier.attention_in "
             "attention_out_multiplier multiplier.attention_out ssm_in_multiplier multiplier.ssm_in "
             "ssm_out_multiplier multiplier.ssm_out ssm_multipliers multiplier.ssm mlp_multipliers multiplier.mlp",
     .computed = "mamba_d_ssm mamba_expand*hidden_size",
     .only = "mamba_rms_norm false attention_bias false projectors_bias false",
     .made = "ssm_a logs+column ssm_d column ssm_conv1d.weight flat"},
    {.model_types = "qwen3_5_text",
     .architecture = "qwen35",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "head_dim": 256, "num_key_value_heads": 4, "partial_rotary_factor": 0.25,
                     "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
                     "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "full_attention_interval": 4,
                     "neighbours": true})",
     .names = qwen35_names,
     .keys = "linear_num_key_heads ssm.group_count linear_num_value_heads ssm.time_step_rank "
             "linear_key_head_dim ssm.state_size inner ssm.inner_size linear_conv_kernel_dim ssm.conv_kernel "
             "neighbours ssm.neighbours_share",
     .computed = "inner linear_value_head_dim*linear_num_value_heads",
     .made = qwen35_made,
     .rope_types = "mrope",
     .recurrent = "linear_attention",
     .norms_from_one = true},
    {.model_types = "qwen3_5_moe_text",
     .architecture = "qwen35moe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "head_dim": 256, "num_key_value_heads": 2, "partial_rotary_factor": 0.25, "num_experts": 256,
                     "num_experts_per_tok": 8, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
                     "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
                     "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "full_attention_interval": 4,
                     "neighbours": true, "dense": 0})",
     .names = qwen35_names,
     .keys = "num_experts expert_count num_experts_per_tok expert_used_count "
             "moe_intermediate_size expert_feed_forward_length "
             "shared_expert_intermediate_size expert_shared_feed_forward_length "
             "linear_num_key_heads ssm.group_count linear_num_value_heads ssm.time_step_rank "
             "linear_key_head_dim ssm.state_size inner ssm.inner_size linear_conv_kernel_dim ssm.conv_kernel "
             "neighbours ssm.neighbours_share",
     .computed = "inner linear_value_head_dim*linear_num_value_heads intermediate_size dense",
     .made = qwen35_made,
     .rope_types = "mrope",
     .recurrent = "linear_attention",
     .norms_from_one = true},
};

}  // namespace

const std::span<const Family> recurrent_families = families;

}  // namespace pronk::sources
