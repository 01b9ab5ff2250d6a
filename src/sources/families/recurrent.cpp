// Layers with a state of their own: state spaces and short convolutions, alone or beside attention.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr Family families[] = {
    {.model_types = "lfm2",
     .architecture = "lfm2",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "norm_eps": 1e-5, "rope_theta": 1000000, "num_key_value_heads": 8,
                     "max_position_embeddings": 128000, "conv_L_cache": 3, "tie_word_embeddings": true})",
     .names = "embedding_norm token_embd_norm operator_norm attn_norm ffn_norm ffn_norm "
              "self_attn.out_proj attn_output self_attn.q_layernorm attn_q_norm self_attn.k_layernorm attn_k_norm "
              "conv.conv shortconv.conv conv.in_proj shortconv.in_proj conv.out_proj shortconv.out_proj "
              "feed_forward.w1 ffn_gate feed_forward.w3 ffn_up feed_forward.w2 ffn_down",
     .keys = "conv_L_cache shortconv.l_cache",
     .aliases = "rms_norm_eps norm_eps rope_theta theta",
     .made = "shortconv.conv.weight flat",
     .recurrent = "conv"},
    {.model_types = "granitemoe",
     .architecture = "granitemoe",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000, "max_position_embeddings": 2048,
                     "num_local_experts": 8, "num_experts_per_tok": 2, "embedding_multiplier": 1, "logits_scaling": 1,
                     "residual_multiplier": 1, "attention_multiplier": 1})",
     .names = "block_sparse_moe.router.layer ffn_gate_inp block_sparse_moe.input_linear ffn_gate_up_exps "
              "block_sparse_moe.output_linear ffn_down_exps",
     .keys = "num_local_experts expert_count num_experts_per_tok expert_used_count embedding_multiplier embedding_scale "
             "residual_multiplier residual_scale attention_multiplier attention.scale logits_scaling logit_scale",
     .made = "ffn_gate_up_exps.weight halves",
     .halves = true},
    {.model_types = "mamba",
     .architecture = "mamba",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "layer_norm_epsilon": 1e-5, "state_size": 16, "conv_kernel": 4,
                     "max_position_embeddings": 1048576, "num_attention_heads": 0, "tie_word_embeddings": true,
                     "expand": 2, "head_dim": 0, "feed_forward": 0})",
     .names = "embeddings token_embd norm_f output_norm norm attn_norm mixer.in_proj ssm_in mixer.conv1d ssm_conv1d "
              "mixer.x_proj ssm_x mixer.dt_proj ssm_dt mixer.A_log ssm_a mixer.D ssm_d mixer.out_proj ssm_out",
     .keys = "state_size ssm.state_size conv_kernel ssm.conv_kernel inner ssm.inner_size "
             "time_step_rank ssm.time_step_rank",
     .aliases = "intermediate_size feed_forward rms_norm_eps layer_norm_epsilon",
     .computed = "inner expand*hidden_size",
     .made = "ssm_a logs ssm_conv1d.weight flat"},
};

}  // namespace

const std::span<const Family> recurrent_families = families;

}  // namespace pronk::sources
