// Gemma: norms count from 1, and stand before and after attention and feed-forward from the second on.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr Family families[] = {
    {.model_types = "gemma3_text",
     .architecture = "gemma3",
     .activations = "gelu_pytorch_tanh",
     .defaults = R"({"hidden_activation": "gelu_pytorch_tanh", "rope_theta": 1000000, "rope_local_base_freq": 10000,
                     "rms_norm_eps": 1e-6, "max_position_embeddings": 131072, "head_dim": 256,
                     "num_attention_heads": 8, "num_key_value_heads": 4, "query_pre_attn_scalar": 256,
                     "sliding_window": 4096, "vocab_size": 262208, "tie_word_embeddings": true})",
     .names = "post_attention_layernorm post_attention_norm",
     .windows = Windows::some,
     .norms_from_one = true},
};

}  // namespace

const std::span<const Family> gemma_families = families;

}  // namespace pronk::sources
