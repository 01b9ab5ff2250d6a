// Models whose q, k and v lie together by heads, or whose matrices have inputs for rows.
#include "sources/families.h"

namespace pronk::sources {
namespace {

constexpr std::string_view falcon_defaults =
    R"({"activation": "gelu", "layer_norm_epsilon": 1e-5, "max_position_embeddings": 2048, "rope_theta": 10000,
        "tie_word_embeddings": true, "new_decoder_architecture": false, "multi_query": true})";
constexpr Pairs falcon_names =
    "word_embeddings token_embd ln_f output_norm input_layernorm attn_norm ln_attn attn_norm_2 "
    "ln_mlp attn_norm self_attention.query_key_value attn_qkv self_attention.dense attn_output "
    "mlp.dense_h_to_4h ffn_up mlp.dense_4h_to_h ffn_down";
constexpr Pairs falcon_only = "alibi false parallel_attn true";
constexpr Pairs falcon_made = "attn_qkv.weight grouped attn_qkv.bias grouped";

constexpr Family families[] = {
    {.model_types = "gpt2",
     .architecture = "gpt2",
     .activations = "gelu_new gelu_pytorch_tanh",
     .defaults = R"({"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "n_positions": 1024,
                     "tie_word_embeddings": true})",
     .names = "wte token_embd wpe position_embd ln_f output_norm ln_1 attn_norm ln_2 ffn_norm "
              "attn.c_attn attn_qkv attn.c_proj attn_output mlp.c_fc ffn_up mlp.c_proj ffn_down",
     .aliases = "num_key_value_heads n_head hidden_act activation_function num_hidden_layers n_layer hidden_size "
                "n_embd num_attention_heads n_head "
                "intermediate_size n_inner layer_norm_eps layer_norm_epsilon max_position_embeddings n_positions",
     .computed = "intermediate_size 4*hidden_size",
     .only = "scale_attn_by_inverse_layer_idx false scale_attn_weights true add_cross_attention false",
     .made = "attn_qkv.weight transposed attn_output.weight transposed ffn_up.weight transposed "
             "ffn_down.weight transposed"},
    {.model_types = "gpt_neox",
     .architecture = "gptneox",
     .activations = "gelu",
     .defaults = R"({"hidden_act": "gelu", "layer_norm_eps": 1e-5, "max_position_embeddings": 2048,
                     "rotary_emb_base": 10000, "rotary_pct": 0.25, "use_parallel_residual": true,
                     "tie_word_embeddings": false})",
     .names = "embed_in token_embd final_layer_norm output_norm embed_out output "
              "post_attention_layernorm ffn_norm attention.query_key_value attn_qkv attention.dense attn_output "
              "mlp.dense_h_to_4h ffn_up mlp.dense_4h_to_h ffn_down",
     .keys = "use_parallel_residual use_parallel_residual",
     .aliases = "num_key_value_heads num_attention_heads rope_theta rotary_emb_base partial_rotary_factor rotary_pct",
     .made = "attn_qkv.weight grouped attn_qkv.bias grouped"},
    {.model_types = "falcon",
     .architecture = "falcon",
     .activations = "gelu",
     .defaults = falcon_defaults,
     .names = falcon_names,
     .aliases = "hidden_act activation num_hidden_layers n_layer num_attention_heads n_head "
                "num_key_value_heads num_kv_heads intermediate_size ffn_hidden_size layer_norm_eps layer_norm_epsilon",
     .computed = "intermediate_size 4*hidden_size num_key_value_heads num_attention_heads",
     .only = falcon_only,
     .made = falcon_made,
     .variants = "new_decoder_architecture falcon.older"},
    {.model_types = "falcon.older",
     .architecture = "falcon",
     .activations = "gelu",
     .defaults = falcon_defaults,
     .names = falcon_names,
     .aliases = "hidden_act activation num_hidden_layers n_layer num_attention_heads n_head "
                "intermediate_size ffn_hidden_size layer_norm_eps layer_norm_epsilon",
     .computed = "intermediate_size 4*hidden_size num_key_value_heads 1",
     .only = falcon_only,
     .made = falcon_made,
     .variants = "multi_query falcon.by_heads"},
    {.model_types = "falcon.by_heads",
     .architecture = "falcon",
     .activations = "gelu",
     .defaults = falcon_defaults,
     .names = falcon_names,
     .aliases = "hidden_act activation num_hidden_layers n_layer num_attention_heads n_head "
                "intermediate_size ffn_hidden_size layer_norm_eps layer_norm_epsilon",
     .computed = "intermediate_size 4*hidden_size num_key_value_heads num_attention_heads",
     .only = falcon_only,
     .made = falcon_made},
    {.model_types = "internlm2",
     .architecture = "internlm2",
     .activations = "silu",
     .defaults =
         R"({"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000, "max_position_embeddings": 2048})",
     .names = "tok_embeddings token_embd attention_norm attn_norm attention.wqkv attn_qkv attention.wo attn_output "
              "feed_forward.w1 ffn_gate feed_forward.w3 ffn_up feed_forward.w2 ffn_down",
     .made = "attn_qkv.weight split",
     .halves = true},
    {.model_types = "bitnet",
     .architecture = "bitnet-b1.58",
     .activations = "relu2",
     .defaults =
         R"({"hidden_act": "relu2", "rope_theta": 500000, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048})",
     .names = "self_attn.attn_sub_norm attn_sub_norm  mlp.ffn_sub_norm ffn_sub_norm",
     .made = "attn_q.weight ternary attn_q.weight_scale ternary attn_k.weight ternary attn_k.weight_scale ternary "
             "attn_v.weight ternary attn_v.weight_scale ternary attn_output.weight ternary "
             "attn_output.weight_scale ternary ffn_gate.weight ternary ffn_gate.weight_scale ternary "
             "ffn_up.weight ternary ffn_up.weight_scale ternary ffn_down.weight ternary ffn_down.weight_scale ternary",
     .quantization = "bitnet",
     .quantized_only = "linear_class autobitlinear quantization_mode offline"},
};

}  // namespace

const std::span<const Family> older_families = families;

}  // namespace pronk::sources
