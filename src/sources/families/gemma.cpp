// Gemma: norms count from 1; from the second on they stand before and after attention and feed-forward.
#include "sources/families.h"

namespace pronk::sources {
namespace {

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
     .architecture = "gemma3",
     .activations = "gelu_pytorch_tanh",
     .defaults = R"({"hidden_activation": "gelu_pytorch_tanh", "rope_theta": 1000000, "rope_local_base_freq": 10000,
                     "rms_norm_eps": 1e-6, "max_position_embeddings": 131072, "head_dim": 256,
                     "num_attention_heads": 8, "num_key_value_heads": 4, "query_pre_attn_scalar": 256,
                     "sliding_window": 4096, "vocab_size": 262208, "tie_word_embeddings": true})",
     .names = "post_attention_layernorm post_attention_norm",
     .keys = "final_logit_softcapping final_logit_softcapping",
     .windows = Windows::some,
     .norms_from_one = true},
};

}  // namespace

const std::span<const Family> gemma_families = families;

}  // namespace pronk::sources
