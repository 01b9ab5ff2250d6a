// Gemma: norms count from 1; from the second on they stand before and after attention and feed-forward.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr std::string_view gemma3_defaults =
    R"({"hidden_activation": "gelu_pytorch_tanh", "rope_theta": 1000000, "rope_local_base_freq": 10000,
        "rms_norm_eps": 1e-6, "max_position_embeddings": 131072, "head_dim": 256,
        "num_attention_heads": 8, "num_key_value_heads": 4, "query_pre_attn_scalar": 256, "sliding_window": 4096,
        "use_bidirectional_attention": false, "vocab_size": 262208, "tie_word_embeddings": true})";

constexpr Family families[] = {
    {.model_types = "gemma",
     .architecture = "gemma",
     .activations = "gelu_pytorch_tanh gelu",  // the second in its first files, which mean the other
     .defaults = R"({"hidden_act": "gelu_pytorch_tanh", "rope_theta": 10000, "rms_norm_eps": 1e-6,
                     "max_position_embeddings": 8192, "head_dim": 256, "num_key_value_heads": 16,
                     "tie_word_embeddings": true})",
     .norms_from_one = true},
    {.model_types = "gemma2",
     .architecture = "gemma2",
     .activations = "gelu_pytorch_tanh",
     .defaults = R"({"hidden_activation": "gelu_pytorch_tanh", "rope_theta": 10000, "rms_norm_eps": 1e-6,
                     "max_position_embeddings": 8192, "head_dim": 256, "num_key_value_heads": 4,
                     "query_pre_attn_scalar": 256, "sliding_window": 4096, "attn_logit_softcapping": 50,
                     "final_logit_softcapping": 30, "tie_word_embeddings": true})",
     .names = "post_attention_layernorm post_attention_norm",
     .keys = R"(attn_logit_softcapping attn_logit_softcapping  final_logit_softcapping final_logit_softcapping)",
     .windows = Windows::some,
     .norms_from_one = true},
    {.model_types = "gemma3_text",
     .architecture = "gemma-embedding",
     .activations = "gelu_pytorch_tanh",
     .defaults = gemma3_defaults,
     .names = "post_attention_layernorm post_attention_norm  2_Dense/linear.weight dense_2.weight  "
              "3_Dense/linear.weight dense_3.weight",
     .variants = "use_bidirectional_attention gemma3_text.causal",
     .windows = Windows::some,
     .norms_from_one = true,
     .encoder = true},
    {.model_types = "gemma3_text.causal",
     .architecture = "gemma3",
     .activations = "gelu_pytorch_tanh",
     .defaults = gemma3_defaults,
     .names = "post_attention_layernorm post_attention_norm",
     .keys = "final_logit_softcapping final_logit_softcapping",
     .windows = Windows::some,
     .norms_from_one = true},
    {.model_types = "gemma3n_text",
     .architecture = "gemma3n",
     .activations = "gelu_pytorch_tanh",
     .defaults = R"({"hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "head_dim": 256, "num_key_value_heads": 2, "sliding_window": 512, "rope_theta": 1000000,
                     "rope_local_base_freq": 10000, "hidden_size_per_layer_input": 256, "num_kv_shared_layers": 15,
                     "altup_num_inputs": 4, "altup_active_idx": 0, "final_logit_softcapping": 30, "vocab_size": 262400,
                     "tie_word_embeddings": true})",
     .names = "post_attention_layernorm post_attention_norm "
              "embed_tokens_per_layer per_layer_token_embd  per_layer_model_projection per_layer_model_proj "
              "per_layer_projection_norm per_layer_proj_norm  per_layer_input_gate inp_gate "
              "per_layer_projection proj  post_per_layer_input_norm post_norm "
              "altup_projections altup_proj  altup_unembed_projections altup_unembd_proj "
              "altup.correct_output_scale altup_correct_scale.weight  altup.correction_coefs altup_correct_coef "
              "altup.modality_router altup_router  altup.prediction_coefs altup_predict_coef "
              "altup.router_norm altup_router_norm  laurel.linear_left laurel_l  laurel.linear_right laurel_r "
              "laurel.post_laurel_norm laurel_post_norm",
     .keys = "final_logit_softcapping final_logit_softcapping  num_kv_shared_layers attention.shared_kv_layers "
             "hidden_size_per_layer_input embedding_length_per_layer_input  altup_num_inputs altup.num_inputs "
             "altup_active_idx altup.active_idx  vocab_size vocab_size "
             "activation_sparsity_pattern activation_sparsity_scale",
     .only = "altup_correct_scale true",
     .made = "altup_proj.weight streams  altup_unembd_proj.weight streams  per_layer_token_embd.weight padded",
     .windows = Windows::some},
    {.model_types = "gemma4_text",
     .architecture = "gemma4",
     .activations = "gelu_pytorch_tanh",
     .defaults = R"({"hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "max_position_embeddings": 131072,
                     "head_dim": 256, "global_head_dim": 512, "num_key_value_heads": 4, "sliding_window": 512,
                     "hidden_size_per_layer_input": 256, "num_kv_shared_layers": 0, "num_experts": null,
                     "top_k_experts": null, "moe_intermediate_size": null, "tie_word_embeddings": true,
                     "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 10000},
                     "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25,
                     "rope_theta": 1000000}}})",
     .names = "post_attention_layernorm post_attention_norm  layer_scalar layer_output_scale.weight "
              "embed_tokens_per_layer per_layer_token_embd  per_layer_model_projection per_layer_model_proj "
              "per_layer_projection_norm per_layer_proj_norm  per_layer_input_gate inp_gate "
              "per_layer_projection proj  post_per_layer_input_norm post_norm "
              "router.proj ffn_gate_inp  router.scale ffn_gate_inp.scale  router.per_expert_scale ffn_down_exps.scale "
              "experts.gate_up_proj ffn_gate_up_exps  experts.down_proj ffn_down_exps "
              "pre_feedforward_layernorm_2 pre_ffw_norm_2  post_feedforward_layernorm_1 post_ffw_norm_1 "
              "post_feedforward_layernorm_2 post_ffw_norm_2",
     .keys = "final_logit_softcapping final_logit_softcapping  num_kv_shared_layers attention.shared_kv_layers "
             "hidden_size_per_layer_input embedding_length_per_layer_input  num_experts expert_count "
             "top_k_experts expert_used_count  moe_intermediate_size expert_feed_forward_length",
     .rope_types = "proportional",
     .windows = Windows::some},
};

}  // namespace

const std::span<const Family> gemma_families = families;

}  // namespace pronk::sources
