// Decoders with layer norms.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr std::string_view stablelm_defaults =
    R"({"hidden_act": "silu", "rope_theta": 10000, "layer_norm_eps": 1e-5, "num_key_value_heads": 32,
        "max_position_embeddings": 4096, "partial_rotary_factor": 0.25, "qk_layernorm": false})";

constexpr Family families[] = {
    {.model_types = "phi",
     .architecture = "phi2",
     .activations = "gelu_new gelu_pytorch_tanh",
     .defaults = R"({"hidden_act": "gelu_new", "rope_theta": 10000, "layer_norm_eps": 1e-5,
                     "max_position_embeddings": 2048, "partial_rotary_factor": 0.5})",
     .names = "self_attn.dense attn_output  mlp.fc1 ffn_up  mlp.fc2 ffn_down  final_layernorm output_norm"},
    {.model_types = "stablelm",
     .architecture = "stablelm",
     .activations = "silu",
     .defaults = stablelm_defaults,
     .names = "self_attn.q_layernorm.norms attn_q_norm  self_attn.k_layernorm.norms attn_k_norm",
     .made = "attn_q_norm.weight heads  attn_k_norm.weight heads",
     .variants = "qk_layernorm stablelm.plain"},
    {.model_types = "stablelm.plain", .architecture = "stablelm", .activations = "silu", .defaults = stablelm_defaults},
    {.model_types = "starcoder2",
     .architecture = "starcoder2",
     .activations = "gelu_pytorch_tanh",
     .defaults = R"({"hidden_act": "gelu_pytorch_tanh", "rope_theta": 10000, "layer_norm_eps": 1e-5,
                     "num_key_value_heads": 2, "max_position_embeddings": 4096, "tie_word_embeddings": true})",
     .names = "mlp.c_fc ffn_up  mlp.c_proj ffn_down",
     .aliases = "layer_norm_eps norm_epsilon",
     .only = "norm_type layer_norm mlp_type default",
     .windows = Windows::all},
    {.model_types = "olmo",
     .architecture = "olmo",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "layer_norm_eps": 1e-5,
                     "max_position_embeddings": 2048})",
     .keys = "clip_qkv attention.clamp_kqv",
     .halves = true},
    {.model_types = "cohere",
     .architecture = "command-r",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 500000, "layer_norm_eps": 1e-5, "logit_scale": 0.0625,
                     "max_position_embeddings": 8192, "tie_word_embeddings": true})",
     .keys = "logit_scale logit_scale"},
    {.model_types = "cohere2",
     .architecture = "cohere2",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "layer_norm_eps": 1e-5, "logit_scale": 0.0625,
                     "max_position_embeddings": 8192, "sliding_window": 4096, "tie_word_embeddings": true})",
     .keys = "logit_scale logit_scale",
     .windows = Windows::some},
    {.model_types = "nemotron",
     .architecture = "nemotron",
     .activations = "relu2",
     .defaults =
         R"({"hidden_act": "relu2", "rope_theta": 10000, "layer_norm_eps": 1e-5, "max_position_embeddings": 4096,
                     "partial_rotary_factor": 0.5})",
     .aliases = "layer_norm_eps norm_eps",
     .norms_from_one = true},
};

}  // namespace

const std::span<const Family> layer_norm_families = families;

}  // namespace pronk::sources
