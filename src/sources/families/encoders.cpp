// Encoders, for embeddings and scores.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr Pairs bert_names = R"(
  embeddings.word_embeddings token_embd  embeddings.position_embeddings position_embd
  embeddings.token_type_embeddings token_types  embeddings.LayerNorm token_embd_norm
  attention.self.query attn_q  attention.self.key attn_k  attention.self.value attn_v
  attention.output.dense attn_output  attention.output.LayerNorm attn_output_norm
  intermediate.dense ffn_up  output.dense ffn_down  output.LayerNorm layer_output_norm
  pooler.dense cls  classifier cls.output  classifier.dense cls  classifier.out_proj cls.output)";

constexpr Family families[] = {
    {.model_types = "bert",
     .architecture = "bert",
     .activations = "gelu",
     .defaults = R"({"hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": 512})",
     .names = bert_names,
     .only = "position_embedding_type absolute",
     .encoder = true},
    {.model_types = "xlm-roberta roberta",
     .architecture = "bert",
     .activations = "gelu",
     .defaults = R"({"hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_position_embeddings": 514})",
     .names = bert_names,
     .only = "position_embedding_type absolute",
     .first_position = 2,
     .encoder = true},
    {.model_types = "modernbert",
     .architecture = "modern-bert",
     .activations = "gelu",
     .defaults = R"({"hidden_activation": "gelu", "rope_theta": 160000, "rope_local_base_freq": 10000,
                     "layer_norm_eps": 1e-5, "max_position_embeddings": 8192, "local_attention": 128})",
     .names = R"(embeddings.tok_embeddings token_embd  embeddings.norm token_embd_norm
                 attn.Wqkv attn_qkv  attn.Wo attn_output  mlp.Wi ffn_up  mlp.Wo ffn_down
                 attn_norm attn_norm  mlp_norm ffn_norm  final_norm output_norm)",
     .keys = R"(local_attention attention.sliding_window
                global_attn_every_n_layers attention.sliding_window_pattern)",
     .aliases = R"(layer_norm_eps norm_eps  rope_theta global_rope_theta  rope_local_base_freq local_rope_theta)",
     .windows = Windows::after,
     .encoder = true},
    {.model_types = "nomic_bert",
     .architecture = "nomic-bert",
     .activations = "silu swiglu",
     .defaults = R"({"hidden_act": "silu", "rope_theta": 1000, "layer_norm_eps": 1e-12,
                     "max_position_embeddings": 2048})",
     .names = R"(embeddings.word_embeddings token_embd  embeddings.token_type_embeddings token_types
                 embeddings.LayerNorm token_embd_norm  emb_ln token_embd_norm
                 attn.Wqkv attn_qkv  attn.out_proj attn_output
                 post_attention_layernorm attn_output_norm  norm1 attn_output_norm
                 mlp.fc11 ffn_up  mlp.fc12 ffn_gate  mlp.fc2 ffn_down
                 post_mlp_layernorm layer_output_norm  norm2 layer_output_norm)",
     .aliases = R"(hidden_size n_embd  num_hidden_layers n_layer  num_attention_heads n_head  intermediate_size n_inner
                   max_position_embeddings n_positions  layer_norm_eps layer_norm_epsilon  rope_theta rotary_emb_base
                   hidden_act activation_function)",
     .only = R"(prenorm false  causal false  parallel_block false  use_rms_norm false  rotary_emb_interleaved false
                rotary_emb_fraction 1  moe_every_n_layers 0  scale_attn_by_inverse_layer_idx false)",
     .encoder = true},
};

}  // namespace

const std::span<const Family> encoder_families = families;

}  // namespace pronk::sources
