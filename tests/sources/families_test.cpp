// Each family of models as a folder, against the same weights as a GGUF file.
#include <gtest/gtest.h>

#include <sstream>

#include "logits.h"
#include "support/folder_model.h"

namespace pronk {
namespace {

using nlohmann::json;
using test::FolderTensor;

constexpr u64 width = 64, hidden = 96, heads = 4, kv = 2, head = 16, vocab = 300, layers = 4, context = 128;

// A row: what its model_type says in config.json, and what the GGUF file of the same model has for it.
struct Family {
  const char* name;  // of the test
  const char* config;
  const char* metadata;  // keys after the architecture
  // Of a layer, then of the model after "|": a name in the folder, the one in GGUF, and "+" for a bias too.
  const char* tensors;
  const char* architecture;
  bool adjacent = false;  // GGUF has rows of q and k in pairs
  float added = 0;        // to norms in GGUF
  bool encoder = false;
};

constexpr const char* llama_tensors = R"(
  input_layernorm attn_norm  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
  self_attn.o_proj attn_output  post_attention_layernorm ffn_norm
  mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
  | model.embed_tokens token_embd  model.norm output_norm  lm_head output)";
constexpr const char* post_norm_tensors = R"(
  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v  self_attn.o_proj attn_output
  post_attention_layernorm post_attention_norm  post_feedforward_layernorm post_ffw_norm
  mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
  | model.embed_tokens token_embd  model.norm output_norm  lm_head output)";
constexpr const char* gemma2_tensors = R"(
  input_layernorm attn_norm  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
  self_attn.o_proj attn_output  post_attention_layernorm post_attention_norm  pre_feedforward_layernorm ffn_norm
  mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down  post_feedforward_layernorm post_ffw_norm
  | model.embed_tokens token_embd  model.norm output_norm)";
constexpr const char* ungated_tensors = R"(
  input_layernorm attn_norm+  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
  self_attn.o_proj attn_output  post_attention_layernorm ffn_norm+  mlp.up_proj ffn_up  mlp.down_proj ffn_down
  | model.embed_tokens token_embd  model.norm output_norm+  lm_head output)";
constexpr const char* bert_tensors = R"(
  attention.self.query attn_q+  attention.self.key attn_k+  attention.self.value attn_v+
  attention.output.dense attn_output+  attention.output.LayerNorm attn_output_norm+
  intermediate.dense ffn_up+  output.dense ffn_down+  output.LayerNorm layer_output_norm+
  | embeddings.word_embeddings token_embd  embeddings.token_type_embeddings token_types
  embeddings.position_embeddings position_embd  embeddings.LayerNorm token_embd_norm+)";

const Family families[] = {
    {"ministral3",
     R"({"model_type": "ministral3", "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000, "factor": 4,
         "original_max_position_embeddings": 8, "mscale": 1, "mscale_all_dim": 1, "llama_4_scaling_beta": 0.1}})",
     R"({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 8,
         "rope.scaling.yarn_log_multiplier": 1.0, "attention.temperature_scale": 0.1})",
     llama_tensors, "mistral3", true},
    {"arcee", R"({"model_type": "arcee", "hidden_act": "relu2"})", "{}",
     R"(input_layernorm attn_norm  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
        self_attn.o_proj attn_output  post_attention_layernorm ffn_norm  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm  lm_head output)",
     "arcee", true},
    {"granite",
     R"({"model_type": "granite", "embedding_multiplier": 3, "residual_multiplier": 0.3, "attention_multiplier": 0.2,
         "logits_scaling": 4})",
     R"({"embedding_scale": 3.0, "residual_scale": 0.3, "attention.scale": 0.2, "logit_scale": 4.0})", llama_tensors,
     "granite", true},
    {"smollm3", R"({"model_type": "smollm3", "no_rope_layers": [1, 1, 1, 0]})", "{}", llama_tensors, "smollm3", true},
    {"qwen2_vl", R"({"model_type": "qwen2_vl", "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}})", "{}",
     llama_tensors, "qwen2vl"},
    {"qwen3_vl",
     R"({"model_type": "qwen3_vl", "text_config": {"model_type": "qwen3_vl_text", "rope_parameters": {
         "rope_type": "default", "rope_theta": 10000, "mrope_interleaved": true}}})",
     "{}", llama_tensors, "qwen3vl"},
    {"phi3", R"({"model_type": "phi3", "partial_rotary_factor": 0.5})", R"({"rope.dimension_count": 8})",
     R"(input_layernorm attn_norm  self_attn.qkv_proj attn_qkv  self_attn.o_proj attn_output
        post_attention_layernorm ffn_norm  mlp.gate_up_proj ffn_up:2  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm  lm_head output)",
     "phi3"},
    {"phi3_longrope",
     R"({"model_type": "phi3", "original_max_position_embeddings": 32, "rope_scaling": {"type": "longrope",
         "short_factor": [1, 1, 1, 1.5, 2, 3, 5, 8], "long_factor": [2, 2, 2, 2, 2, 2, 2, 2]}})",
     // 128 tokens instead of 32: √(1 + ln 4 / ln 32)
     R"({"rope.scaling.attn_factor": 1.1832159566199232, "rope.scaling.original_context_length": 32,
         "rope.scaling.short_factors": [1, 1, 1, 1.5, 2, 3, 5, 8]})",
     llama_tensors, "phi3"},
    {"seed_oss", R"({"model_type": "seed_oss"})", "{}",
     R"(input_layernorm attn_norm  self_attn.q_proj attn_q+  self_attn.k_proj attn_k+  self_attn.v_proj attn_v+
        self_attn.o_proj attn_output  post_attention_layernorm post_attention_norm
        mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm  lm_head output)",
     "seed_oss"},
    {"ernie4_5", R"({"model_type": "ernie4_5", "tie_word_embeddings": false})", "{}", llama_tensors, "ernie4_5"},
    {"hunyuan_dense",
     R"({"model_type": "hunyuan_v1_dense", "rope_scaling": {"type": "dynamic", "alpha": 1000, "factor": 1}})",
     R"({"rope.freq_base": 26826957.952797})",  // 10000 · 1000^(16/14)
     R"(input_layernorm attn_norm  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
        self_attn.query_layernorm attn_q_norm  self_attn.key_layernorm attn_k_norm  self_attn.o_proj attn_output
        post_attention_layernorm ffn_norm  mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm  lm_head output)",
     "hunyuan-dense"},
    {"olmo2", R"({"model_type": "olmo2"})", "{}", post_norm_tensors, "olmo2"},
    {"olmo3",
     R"({"model_type": "olmo3", "sliding_window": 6, "layer_types":
         ["full_attention", "sliding_attention", "full_attention", "sliding_attention"]})",
     R"({"attention.sliding_window": 6, "attention.sliding_window_pattern": [0, 1, 0, 1]})", post_norm_tensors,
     "olmo2"},
    {"exaone4", R"({"model_type": "exaone4", "sliding_window": 6})", R"({"attention.sliding_window": 6})",
     post_norm_tensors, "exaone4"},
    {"glm4", R"({"model_type": "glm4"})", R"({"rope.dimension_count": 8})",
     R"(input_layernorm attn_norm  self_attn.q_proj attn_q+  self_attn.k_proj attn_k+  self_attn.v_proj attn_v+
        self_attn.o_proj attn_output  post_self_attn_layernorm post_attention_norm
        post_attention_layernorm ffn_norm  mlp.gate_up_proj ffn_up:2  mlp.down_proj ffn_down
        post_mlp_layernorm post_ffw_norm
        | model.embed_tokens token_embd  model.norm output_norm  lm_head output)",
     "glm4"},
    {"phi", R"({"model_type": "phi", "hidden_act": "gelu_new"})", R"({"rope.dimension_count": 8})",
     R"(input_layernorm attn_norm+  self_attn.q_proj attn_q+  self_attn.k_proj attn_k+  self_attn.v_proj attn_v+
        self_attn.dense attn_output+  mlp.fc1 ffn_up+  mlp.fc2 ffn_down+
        | model.embed_tokens token_embd  model.final_layernorm output_norm+  lm_head output+)",
     "phi2"},
    {"stablelm", R"({"model_type": "stablelm"})", R"({"rope.dimension_count": 4})",
     R"(input_layernorm attn_norm+  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
        self_attn.o_proj attn_output  post_attention_layernorm ffn_norm+
        mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm+  lm_head output)",
     "stablelm"},
    {"starcoder2",
     R"({"model_type": "starcoder2", "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": "absent", "norm_epsilon": 0.01,
         "tie_word_embeddings": false})",
     R"({"attention.layer_norm_epsilon": 0.01})",
     R"(input_layernorm attn_norm+  self_attn.q_proj attn_q+  self_attn.k_proj attn_k+  self_attn.v_proj attn_v+
        self_attn.o_proj attn_output+  post_attention_layernorm ffn_norm+  mlp.c_fc ffn_up+  mlp.c_proj ffn_down+
        | model.embed_tokens token_embd  model.norm output_norm+  lm_head output)",
     "starcoder2"},
    {"olmo", R"({"model_type": "olmo", "clip_qkv": 0.5})", R"({"attention.clamp_kqv": 0.5})",
     R"(self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v  self_attn.o_proj attn_output
        mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  lm_head output)",
     "olmo", true},
    {"cohere", R"({"model_type": "cohere", "logit_scale": 0.5, "tie_word_embeddings": true})",
     R"({"logit_scale": 0.5})",
     R"(input_layernorm attn_norm  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
        self_attn.o_proj attn_output  mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm)",
     "command-r"},
    {"cohere2",
     R"({"model_type": "cohere2", "logit_scale": 0.5, "sliding_window": 6, "sliding_window_pattern": 2,
         "tie_word_embeddings": true})",
     R"({"logit_scale": 0.5, "attention.sliding_window": 6, "attention.sliding_window_pattern": 2})",
     R"(input_layernorm attn_norm  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
        self_attn.o_proj attn_output  mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm)",
     "cohere2"},
    {"nemotron", R"({"model_type": "nemotron", "hidden_act": "relu2", "layer_norm_eps": "absent", "norm_eps": 0.01})",
     R"({"rope.dimension_count": 8, "attention.layer_norm_epsilon": 0.01})", ungated_tensors, "nemotron", false, 1},
    {"gemma",
     R"({"model_type": "gemma", "hidden_act": "gelu", "hidden_activation": null, "tie_word_embeddings": true})", "{}",
     R"(input_layernorm attn_norm  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v
        self_attn.o_proj attn_output  post_attention_layernorm ffn_norm
        mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.down_proj ffn_down
        | model.embed_tokens token_embd  model.norm output_norm)",
     "gemma", false, 1},
    {"gemma2",
     R"({"model_type": "gemma2", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 16,
         "sliding_window": 6, "attn_logit_softcapping": 2, "final_logit_softcapping": null,
         "tie_word_embeddings": true})",
     R"({"attention.sliding_window": 6, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 0.0})",
     gemma2_tensors, "gemma2", false, 1},
    {"bert", R"({"model_type": "bert", "hidden_act": "gelu"})", "{}", bert_tensors, "bert", false, 0, true},
    {"modernbert",
     R"({"model_type": "modernbert", "hidden_activation": "gelu", "global_rope_theta": 5000, "local_rope_theta": 700,
         "layer_norm_eps": "absent", "norm_eps": 0.01, "local_attention": 8, "layer_types": ["full_attention", "sliding_attention",
         "full_attention", "sliding_attention"]})",
     R"({"rope.freq_base": 5000.0, "rope.freq_base_swa": 700.0, "attention.sliding_window": 8, "attention.layer_norm_epsilon": 0.01,
         "attention.sliding_window_pattern": 2})",
     R"(attn_norm attn_norm  attn.Wqkv attn_qkv  attn.Wo attn_output  mlp_norm ffn_norm  mlp.Wi ffn_up:2
        mlp.Wo ffn_down
        | model.embeddings.tok_embeddings token_embd  model.embeddings.norm token_embd_norm
        model.final_norm output_norm)",
     "modern-bert", false, 0, true},
    {"nomic_bert",
     R"({"model_type": "nomic_bert", "hidden_act": "absent", "activation_function": "swiglu", "rotary_emb_base": 1000,
         "intermediate_size": "absent", "n_inner": 96, "layer_norm_eps": "absent", "layer_norm_epsilon": 0.01})",
     R"({"rope.freq_base": 1000.0, "attention.layer_norm_epsilon": 0.01})",
     R"(attn.Wqkv attn_qkv  attn.out_proj attn_output  norm1 attn_output_norm+  norm2 layer_output_norm+
        mlp.fc11 ffn_up  mlp.fc12 ffn_gate  mlp.fc2 ffn_down
        | embeddings.word_embeddings token_embd  embeddings.token_type_embeddings token_types  emb_ln token_embd_norm+)",
     "nomic-bert", false, 0, true},
};

// The rest of config.json, where the row does not say otherwise; "absent" takes a key away.
json config_of(const Family& family) {
  const json row = json::parse(family.config);
  json text = {{"num_hidden_layers", layers},  {"hidden_size", width},     {"intermediate_size", hidden},
               {"num_attention_heads", heads}, {"vocab_size", vocab},      {"max_position_embeddings", context},
               {"layer_norm_eps", 1e-5},       {"rms_norm_eps", 1e-5},     {"tie_word_embeddings", false},
               {"hidden_act", "silu"},         {"head_dim", width / heads}};
  if (!family.encoder) text["num_key_value_heads"] = kv, text["rope_theta"] = 10000;
  text.update(row.contains("text_config") ? row["text_config"] : row);
  for (auto at = text.begin(); at != text.end();) at = *at == "absent" ? text.erase(at) : std::next(at);
  if (!row.contains("text_config")) return text;
  json config = row;
  config["text_config"] = text;
  return config;
}

void add_metadata(files::GgufWriter& writer, const Family& family) {
  json keys = {{"block_count", layers},
               {"embedding_length", width},
               {"feed_forward_length", hidden},
               {"context_length", context},
               {"attention.head_count", heads},
               {"attention.head_count_kv", family.encoder ? heads : kv},
               {"attention.layer_norm_epsilon", 1e-5},
               {"attention.layer_norm_rms_epsilon", 1e-5},
               {"rope.freq_base", 10000.0}};
  keys.update(json::parse(family.metadata));
  writer.add_string("general.architecture", family.architecture);
  for (const auto& [name, value] : keys.items()) {
    const std::string key = std::string(family.architecture) + "." + name;
    if (value.is_string()) {
      writer.add_string(key, std::string(value));
    } else if (value.is_array() && value[3].is_number_float()) {
      writer.add_f32s(key, value.get<std::vector<float>>());
    } else if (value.is_array()) {
      writer.add_i32s(key, value.get<std::vector<i32>>());
    } else if (value.is_number_float()) {
      writer.add_f64(key, value);
    } else {
      writer.add_u32(key, value);
    }
  }
}

// In both files; `halves`: rows of heads that GGUF has in another order.
struct Tensor {
  std::string folder_name, gguf_name;
  u64 rows, cols;  // 1 row: a vector
  bool halves = false, norm = false;
};

class Tensors {
 public:
  explicit Tensors(const Family& family) : family_(family) {
    const std::string text = family.tensors;
    const auto bar = text.find('|');
    for (u64 layer = 0; layer < layers; ++layer) {
      const std::string number = std::to_string(layer) + ".";
      const std::string before = !family.encoder                    ? "model.layers."
                                 : text.contains("attention.self.") ? "encoder.layer."
                                                                    : "model.layers.";
      list(text.substr(0, bar), before + number, "blk." + number);
    }
    list(text.substr(bar + 1), "", "");
  }
  const std::vector<Tensor>& all() const { return all_; }

 private:
  void list(const std::string& text, const std::string& folder_prefix, const std::string& gguf_prefix) {
    std::istringstream words(text);
    for (std::string from, to; words >> from >> to;) {
      const bool bias = to.ends_with('+'), twice = to.ends_with(":2");
      const std::string stem = to.substr(0, to.find_first_of("+:"));
      auto [rows, cols] = shape(stem);
      if (twice) rows *= 2;
      const bool halves = family_.adjacent && (stem == "attn_q" || stem == "attn_k");
      all_.push_back({folder_prefix + from + ".weight", gguf_prefix + stem + ".weight", rows, cols, halves,
                      stem.ends_with("norm")});
      if (bias)
        all_.push_back({folder_prefix + from + ".bias", gguf_prefix + stem + ".bias", 1, rows == 1 ? cols : rows});
    }
  }
  std::pair<u64, u64> shape(const std::string& stem) const {
    const u64 k = (family_.encoder ? heads : kv) * head;
    const std::map<std::string, std::pair<u64, u64>> shapes = {{"attn_q", {width, width}},
                                                               {"attn_k", {k, width}},
                                                               {"attn_v", {k, width}},
                                                               {"attn_qkv", {width + 2 * k, width}},
                                                               {"attn_output", {width, width}},
                                                               {"ffn_gate", {hidden, width}},
                                                               {"ffn_up", {hidden, width}},
                                                               {"ffn_down", {width, hidden}},
                                                               {"token_embd", {vocab, width}},
                                                               {"output", {vocab, width}},
                                                               {"position_embd", {context, width}},
                                                               {"token_types", {2, width}},
                                                               {"attn_q_norm", {1, head}},
                                                               {"attn_k_norm", {1, head}}};
    const auto found = shapes.find(stem);
    return found == shapes.end() ? std::pair<u64, u64>{1, width} : found->second;
  }

  const Family& family_;
  std::vector<Tensor> all_;
};

// The same model twice.
struct Both {
  test::ModelFiles gguf;
  test::Folder folder;
};

std::vector<u8> bytes_of(const std::vector<float>& values) {
  std::vector<u8> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

Both both_of(const Family& family) {
  const Tensors tensors(family);
  files::GgufWriter writer = text::sentencepiece_fixture().writer();
  add_metadata(writer, family);
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> weights;
  std::vector<FolderTensor> written;
  for (const Tensor& tensor : tensors.all()) {
    const u64 shape[] = {tensor.cols, tensor.rows};
    writer.add_tensor(tensor.gguf_name, 0, std::span(shape, tensor.rows == 1 ? 1 : 2));
    std::vector<float>& values = weights.emplace_back(tensor.rows * tensor.cols);
    for (float& value : values) {
      value = (tensor.norm ? 1 : 0) + normal(random) * (tensor.rows == 1 ? 0.25f : 1 / std::sqrt(float(tensor.cols)));
    }
    std::vector<float> theirs = tensor.halves ? test::halves_of(values, tensor.cols, head) : values;
    for (float& value : theirs) value -= tensor.norm ? family.added : 0;
    FolderTensor out{tensor.folder_name, "F32", {tensor.cols}, bytes_of(theirs)};
    if (tensor.rows > 1) out.shape = {tensor.rows, tensor.cols};
    written.push_back(std::move(out));
  }
  Both both{.gguf = {test::write_gguf(writer, [&](u64 i) { return bytes_of(weights[i]); })},
            .folder = {.texts = {{"config.json", config_of(family).dump()}}, .weights = {}}};
  test::add_shards(both.folder, written, 1);
  return both;
}

Result<std::vector<float>> rows_of(Result<test::SharedModel> model, const test::ModelFiles& weights, bool encoder) {
  if (!model) return std::unexpected(model.error());
  const std::vector<u32> tokens = test::some_tokens(20, 5, vocab);
  LoadOptions options{.context = 32,
                      .kv = graph::KvType::f32,
                      .activations = graph::Activations::f32,
                      .threads = 1,
                      .scoring = !encoder,
                      .embedding = encoder};
  PRONK_TRY(auto engine, Engine::create(*model, options, nullptr));
  PRONK_OK(test::feed(*engine, weights));
  PRONK_OK(test::wait_ready(*engine));
  return test::score(*engine, tokens, false);
}

class FolderFamilies : public testing::TestWithParam<Family> {};

TEST_P(FolderFamilies, GiveWhatTheSameModelGivesInAGgufFile) {
  const Both both = both_of(GetParam());
  const auto expected = rows_of(test::open_model(both.gguf), both.gguf, GetParam().encoder);
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  const auto got = rows_of(test::open_folder(both.folder), both.folder.weights, GetParam().encoder);
  ASSERT_TRUE(got.has_value()) << got.error().message;
  ASSERT_FALSE(got->empty());
  EXPECT_LT(test::largest_difference(*got, *expected), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Sources, FolderFamilies, testing::ValuesIn(families),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pronk
