// Llama and its like: the common names, keys and layers.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr Family families[] = {
    {.model_types = "llama",
     .architecture = "llama",
     .activations = "silu",
     .defaults =
         R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048})",
     .halves = true},
    {.model_types = "mistral",
     .architecture = "llama",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "num_key_value_heads": 8,
                     "max_position_embeddings": 131072, "sliding_window": 4096})",
     .windows = Windows::all,
     .halves = true},
    {.model_types = "qwen2",
     .architecture = "qwen2",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "use_sliding_window": false})"},
    {.model_types = "qwen3",
     .architecture = "qwen3",
     .activations = "silu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 10000, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
                     "head_dim": 128, "use_sliding_window": false})"},
};

}  // namespace

const std::span<const Family> llama_families = families;

}  // namespace pronk::sources
