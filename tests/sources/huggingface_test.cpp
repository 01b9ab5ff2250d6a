#include "sources/huggingface.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/folder_model.h"

namespace pronk::sources {
namespace {

using nlohmann::json;
using test::Folder;
using test::ModelSpec;

json small_config() { return test::folder_config({.layers = 1}); }

// The header of a folder with that config and the tensors of `spec`.
Result<files::Gguf> header_of(const json& config, const ModelSpec& spec = {.layers = 1, .zeros = true}) {
  static const Folder folder = test::folder_of({.layers = 1, .zeros = true});
  HuggingFace source;
  PRONK_OK(source.add_file("config.json", config.dump()));
  const std::vector<u8> weights =
      spec.layers == 1 && spec.arch == "llama" ? folder.weights[0] : test::folder_of(spec).weights[0];
  PRONK_TRY(auto parsed, files::parse_safetensors(weights, weights.size()));
  PRONK_OK(source.add_weights(std::move(*parsed.file)));
  return source.header();
}

std::string error_of(const json& config) {
  const auto header = header_of(config);
  return header ? "no error" : header.error().message;
}

json changed(const json& changes) {
  json config = small_config();
  config.merge_patch(changes);  // null takes a key away
  return config;
}

files::Metadata metadata_of(const json& changes) {
  auto header = header_of(changed(changes));
  EXPECT_TRUE(header.has_value()) << header.error().message;
  return header ? std::move(header->metadata) : files::Metadata();
}

TEST(HuggingFace, TranslatesHyperParameters) {
  const files::Metadata metadata = metadata_of({{"rope_theta", 500000.5}});
  EXPECT_EQ(*metadata.string_at("general.architecture"), "llama");
  EXPECT_EQ(*metadata.u32_at("llama.block_count"), 1u);
  EXPECT_EQ(*metadata.u32_at("llama.embedding_length"), 64u);
  EXPECT_EQ(*metadata.u32_at("llama.feed_forward_length"), 96u);
  EXPECT_EQ(*metadata.u32_at("llama.attention.head_count"), 4u);
  EXPECT_EQ(*metadata.u32_at("llama.attention.head_count_kv"), 2u);
  EXPECT_EQ(*metadata.u32_at("llama.attention.key_length"), 16u);
  EXPECT_EQ(*metadata.u32_at("llama.context_length"), 512u);
  EXPECT_EQ(*metadata.f64_at("llama.attention.layer_norm_rms_epsilon"), 1e-5);
  EXPECT_EQ(*metadata.f64_at("llama.rope.freq_base"), 500000.5);
  EXPECT_TRUE(*metadata.bool_at("llama.rope.halves"));
}

TEST(HuggingFace, KnowsWhatMissingKeysMean) {
  const files::Metadata metadata = metadata_of({{"head_dim", nullptr},
                                                {"num_key_value_heads", nullptr},
                                                {"rope_theta", nullptr},
                                                {"rms_norm_eps", nullptr},
                                                {"max_position_embeddings", nullptr}});
  EXPECT_EQ(*metadata.u32_at("llama.attention.key_length"), 16u);
  EXPECT_FALSE(metadata.has("llama.attention.head_count_kv"));
  EXPECT_EQ(*metadata.f64_at("llama.rope.freq_base"), 10000);
  EXPECT_EQ(*metadata.f64_at("llama.attention.layer_norm_rms_epsilon"), 1e-6);
  EXPECT_EQ(*metadata.u32_at("llama.context_length"), 2048u);
}

TEST(HuggingFace, ReadsRopeInOldAndNewForms) {
  const json llama3 = {{"factor", 8},
                       {"low_freq_factor", 1},
                       {"high_freq_factor", 4},
                       {"original_max_position_embeddings", 32},
                       {"rope_type", "llama3"}};
  json parameters = llama3;
  parameters["rope_theta"] = 7;
  for (const json& changes : {json{{"rope_theta", 7}, {"rope_scaling", llama3}},
                              json{{"rope_theta", nullptr}, {"rope_parameters", parameters}}}) {
    const files::Metadata metadata = metadata_of(changes);
    EXPECT_EQ(*metadata.f64_at("llama.rope.freq_base"), 7);
    EXPECT_EQ(*metadata.string_at("llama.rope.scaling.type"), "llama3");
    EXPECT_EQ(*metadata.f64_at("llama.rope.scaling.factor"), 8);
    EXPECT_EQ(*metadata.f64_at("llama.rope.scaling.low_freq_factor"), 1);
    EXPECT_EQ(*metadata.f64_at("llama.rope.scaling.high_freq_factor"), 4);
    EXPECT_EQ(*metadata.u32_at("llama.rope.scaling.original_context_length"), 32u);
  }
  EXPECT_EQ(
      *metadata_of({{"rope_scaling", {{"type", "linear"}, {"factor", 2.5}}}}).string_at("llama.rope.scaling.type"),
      "linear");
  EXPECT_FALSE(metadata_of({{"rope_scaling", {{"rope_type", "default"}}}}).has("llama.rope.scaling.type"));
  const json longrope = {{"rope_type", "longrope"}, {"short_factor", {1}}, {"long_factor", {2}}};
  EXPECT_EQ(*metadata_of({{"rope_scaling", longrope}, {"original_max_position_embeddings", 64}})
                 .u32_at("llama.context_length"),
            64u);
  EXPECT_EQ(error_of(changed({{"rope_scaling", longrope}})),
            "config.json: 'original_max_position_embeddings' is missing");
  const files::Metadata scaled =
      metadata_of({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}, {"mscale", 2}, {"mscale_all_dim", 3}}}});
  EXPECT_NEAR(*scaled.f64_at("llama.rope.scaling.yarn_attn_factor") * (1 + 0.1 * std::log(4)),
              (1 + 0.2 * std::log(4)) / (1 + 0.3 * std::log(4)), 1e-15);
  const files::Metadata yarn = metadata_of(
      {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}, {"attention_factor", 1}, {"beta_fast", 24}}}});
  EXPECT_EQ(*yarn.f64_at("llama.rope.scaling.yarn_beta_fast"), 24);
  EXPECT_NEAR(*yarn.f64_at("llama.rope.scaling.yarn_attn_factor") * (1 + 0.1 * std::log(4)), 1, 1e-15);
}

TEST(HuggingFace, ReadsWindows) {
  const ModelSpec gemma{.arch = "gemma3", .layers = 3, .window = 8, .zeros = true};
  json config = test::folder_config(gemma);
  const auto by_default = header_of(config, gemma);
  ASSERT_TRUE(by_default.has_value()) << by_default.error().message;
  EXPECT_EQ(*by_default->metadata.u32_at("gemma3.attention.sliding_window"), 8u);
  EXPECT_EQ(*by_default->metadata.f64_at("gemma3.rope.freq_base_swa"), 10000);
  EXPECT_EQ(*by_default->metadata.f64_at("gemma3.attention.scale"), 0.25);
  EXPECT_FALSE(by_default->metadata.has("gemma3.attention.sliding_window_pattern"));
  config["sliding_window_pattern"] = 2;
  EXPECT_EQ(*header_of(config, gemma)->metadata.u32_at("gemma3.attention.sliding_window_pattern"), 2u);
  config["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  const auto by_layer = header_of(config, gemma);
  const files::Array& slides = **by_layer->metadata.integers_at("gemma3.attention.sliding_window_pattern");
  EXPECT_EQ(slides.integer(0), 1);
  EXPECT_EQ(slides.integer(1), 0);
  config["rope_parameters"] = {{"full_attention", {{"rope_theta", 3}, {"rope_type", "default"}}},
                               {"sliding_attention", {{"rope_theta", 5}}}};
  const auto by_kind = header_of(config, gemma);
  EXPECT_EQ(*by_kind->metadata.f64_at("gemma3.rope.freq_base"), 3);
  EXPECT_EQ(*by_kind->metadata.f64_at("gemma3.rope.freq_base_swa"), 5);
  // Where all layers see a window there is no pattern; null is another value than none.
  const files::Metadata mistral = metadata_of({{"model_type", "mistral"}, {"sliding_window", 100}});
  EXPECT_EQ(*mistral.u32_at("llama.context_length"), 512u);
  EXPECT_EQ(*mistral.u32_at("llama.attention.window_of_all"), 100u);
  EXPECT_EQ(*metadata_of({{"model_type", "mistral"}}).u32_at("llama.attention.window_of_all"), 4096u);
  json whole = changed({{"model_type", "mistral"}});
  whole["sliding_window"] = nullptr;
  EXPECT_FALSE(header_of(whole)->metadata.has("llama.attention.window_of_all"));
}

TEST(HuggingFace, GivesTensorsTheirNames) {
  const ModelSpec gemma{.arch = "gemma3", .layers = 1, .zeros = true};
  const auto header = header_of(test::folder_config(gemma), gemma);
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(header->find("blk.0.attn_q_norm.weight")->added, 1);
  EXPECT_EQ(header->find("output_norm.weight")->added, 1);
  EXPECT_EQ(header->find("blk.0.ffn_up.weight")->added, 0);
  EXPECT_EQ(header->find("blk.0.ffn_up.weight")->shape, (std::array<u64, 4>{64, 96, 1, 1}));
  EXPECT_TRUE(header->find("blk.0.post_ffw_norm.weight") && header->find("blk.0.post_attention_norm.weight") &&
              header->find("blk.0.ffn_norm.weight"));
  const auto llama = header_of(small_config());
  EXPECT_EQ(llama->find("blk.0.ffn_norm.weight")->added, 0);
  EXPECT_EQ(llama->find("output.weight"), nullptr);
}

// As beside a vision model: the text model's keys and tensors lie one level deeper.
TEST(HuggingFace, ReadsTheTextModelOfTwo) {
  json config = {{"model_type", "whatever"}, {"text_config", small_config()}};
  HuggingFace source;
  ASSERT_TRUE(source.add_file("config.json", config.dump()).has_value());
  std::vector<test::FolderTensor> tensors = {
      {"language_model.model.embed_tokens.weight", "F32", {300, 1}, std::vector<u8>(1200)},
      {"model.language_model.layers.12.mlp.up_proj.weight", "F32", {1}, std::vector<u8>(4)},
      {"vision_tower.layers.0.mlp.up_proj.weight", "U8", {1}, std::vector<u8>(1)},
      {"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {1}, std::vector<u8>(4)},
      {"model.layers.x.mlp.up_proj.weight", "F32", {1}, std::vector<u8>(4)},
      {"model.layers.1mlp.up_proj.weight", "F32", {1}, std::vector<u8>(4)}};
  const std::vector<u8> weights = test::safetensors_file(tensors);
  ASSERT_TRUE(source.add_weights(std::move(*files::parse_safetensors(weights, weights.size())->file)).has_value());
  const auto header = source.header();
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(header->tensors.size(), 2u);
  EXPECT_TRUE(header->find("token_embd.weight") && header->find("blk.12.ffn_up.weight"));
}

TEST(HuggingFace, RefusesWhatWouldGiveWrongText) {
  EXPECT_EQ(error_of(changed({{"model_type", "quux"}})), "config.json: 'model_type' is 'quux': not supported");
  EXPECT_EQ(error_of(changed({{"hidden_act", "gelu"}})), "config.json: 'hidden_act' is 'gelu': not supported");
  EXPECT_EQ(error_of(changed({{"quantization_config", {{"quant_method", "quux"}}}})),
            "config.json: 'quant_method' is 'quux': not supported");
  EXPECT_EQ(error_of(changed({{"use_sliding_window", true}})),
            "config.json: 'use_sliding_window' is set: not supported");
  EXPECT_EQ(error_of(changed({{"use_sliding_window", false}, {"sliding_window", 8}})), "no error");
  EXPECT_EQ(error_of(changed({{"sliding_window", 8}})), "config.json: 'sliding_window' is set: not supported");
  EXPECT_EQ(error_of(changed({{"layer_types", {"sliding_attention"}}})),
            "config.json: 'layer_types' is 'sliding_attention': not supported");
  EXPECT_EQ(error_of(changed({{"model_type", "mistral"}, {"layer_types", {"full_attention"}}})),
            "config.json: 'layer_types' is 'full_attention': not supported");
  EXPECT_EQ(error_of(changed({{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2}}}})),
            "config.json: 'rope_type' is 'dynamic': not supported");
  EXPECT_EQ(error_of(changed({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2}, {"truncate", false}}}})),
            "no error");
  EXPECT_EQ(error_of(changed({{"qk_layernorm", true}})), "config.json: 'qk_layernorm' is set: not supported");
  EXPECT_EQ(error_of(changed({{"partial_rotary_factor", 1.5}})),
            "config.json: 'partial_rotary_factor' is not between 0 and 1");
  EXPECT_EQ(error_of(changed({{"rope_scaling", {{"rope_type", "linear"}}}})), "config.json: 'factor' is missing");
  EXPECT_EQ(error_of(changed({{"layer_types", {"chunked_attention"}}})),
            "config.json: 'layer_types' is 'chunked_attention': not supported");
  EXPECT_EQ(error_of(changed({{"num_attention_heads", 0}})), "config.json: 'num_attention_heads' is 0");
  EXPECT_EQ(error_of(changed({{"num_hidden_layers", 1ull << 40}})), "config.json: 'num_hidden_layers' is out of range");
  EXPECT_EQ(error_of(changed({{"hidden_size", nullptr}})), "config.json: 'hidden_size' is missing");
  EXPECT_EQ(error_of(changed({{"vocab_size", 299}})),
            "tensor 'model.embed_tokens.weight' has 300 rows, but 'vocab_size' is 299");
  EXPECT_EQ(error_of(changed({{"tie_word_embeddings", false}})), "tensor 'lm_head.weight' is missing");
  EXPECT_EQ(error_of("[]"), "config.json: the value at byte 0 is a string, not an object");
}

// Its first two rows of positions are of no text; a reranker's scores come from a network on the first token.
TEST(HuggingFace, ReadsRobertaAndRerankers) {
  HuggingFace source;
  json config = changed({{"model_type", "xlm-roberta"},
                         {"hidden_act", "gelu"},
                         {"pad_token_id", 1},
                         {"max_position_embeddings", 8},
                         {"architectures", {"XLMRobertaForSequenceClassification"}}});
  ASSERT_TRUE(source.add_file("config.json", config.dump()).has_value());
  const std::vector<u8> weights =
      test::safetensors_file({{"roberta.embeddings.word_embeddings.weight", "F32", {300, 1}, std::vector<u8>(1200)},
                              {"roberta.embeddings.position_embeddings.weight", "F32", {8, 2}, std::vector<u8>(64)},
                              {"roberta.embeddings.LayerNorm.gamma", "F32", {1}, std::vector<u8>(4)},
                              {"classifier.dense.bias", "F32", {1}, std::vector<u8>(4)},
                              {"classifier.out_proj.bias", "F32", {1}, std::vector<u8>(4)}});
  auto parsed = files::parse_safetensors(weights, weights.size());
  const u64 start = parsed->file->tensors[1].offset;
  ASSERT_TRUE(source.add_weights(std::move(*parsed->file)).has_value());
  const auto header = source.header();
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(*header->metadata.u32_at("bert.context_length"), 6u);
  EXPECT_EQ(*header->metadata.u32_at("bert.pooling_type"), 4u);
  const files::TensorInfo* positions = header->find("position_embd.weight");
  ASSERT_NE(positions, nullptr);
  EXPECT_EQ(positions->shape, (std::array<u64, 4>{2, 6, 1, 1}));
  EXPECT_EQ(positions->bytes, 48u);
  EXPECT_EQ(positions->offset, start + 16);
  EXPECT_TRUE(header->find("token_embd_norm.weight") && header->find("cls.bias") && header->find("cls.output.bias"));
  config["pad_token_id"] = 0;
  EXPECT_EQ(header_of(config).error().message, "config.json: 'pad_token_id' is '0': not supported");
}

TEST(HuggingFace, ReadsTheNumbersOfAqlmInBothForms) {
  json numbers = {{"in_group_size", 8}, {"out_group_size", 1}, {"num_codebooks", 2}, {"nbits_per_codebook", 8}};
  EXPECT_EQ(error_of(changed({{"model_type", "llama_aqlm"}, {"aqlm", numbers}})), "no error");
  EXPECT_EQ(error_of(changed({{"quantization_config", numbers}})),
            "config.json: 'quant_method' is 'quantization_config': not supported");
  numbers["quant_method"] = "aqlm";
  EXPECT_EQ(error_of(changed({{"quantization_config", numbers}})), "no error");
  numbers["out_group_size"] = 2;
  EXPECT_EQ(error_of(changed({{"quantization_config", numbers}})),
            "config.json: AQLM of groups of 2 rows and codes of 8 bits is not supported");
  numbers.erase("out_group_size");
  EXPECT_EQ(error_of(changed({{"quantization_config", numbers}})), "config.json: 'out_group_size' is missing");
}

std::string index_error(const json& map) {
  HuggingFace source;
  const Status status = source.add_file("model.safetensors.index.json", json{{"weight_map", map}}.dump());
  return status ? "no error" : status.error().message;
}

TEST(HuggingFace, TakesPlainNamesOfFilesOnly) {
  EXPECT_EQ(index_error({{"a", "m.safetensors"}}), "no error");
  for (const char* name : {"", ".", "..", "../m", "/m", "a/m", "a\\m", "%2e%2e", "c:m", "m?x", "m#x", "m\n"}) {
    EXPECT_NE(index_error({{"a", name}}), "no error") << name;
  }
  EXPECT_NE(index_error({{"a", std::string("m\0", 2)}}), "no error");
  EXPECT_NE(index_error(json::object()), "no error");
  EXPECT_NE(index_error({{"a", 1}}), "no error");
  EXPECT_NE(index_error(json::array()), "no error");
}

TEST(HuggingFace, TakesTensorsFromTheFilesOfTheIndex) {
  HuggingFace source;
  ASSERT_TRUE(source.add_file("config.json", small_config().dump()).has_value());
  ASSERT_TRUE(
      source
          .add_file(
              "model.safetensors.index.json",
              R"({"weight_map": {"model.embed_tokens.weight": "2", "model.norm.weight": "1", "model.layers.0.mlp.up_proj.weight": "2"}})")
          .has_value());
  ASSERT_EQ(source.weight_files().size(), 2u);
  EXPECT_EQ(source.weight_files()[1], "2");
  const test::FolderTensor embedding{"model.embed_tokens.weight", "F32", {300, 1}, std::vector<u8>(1200)};
  const test::FolderTensor norm{"model.norm.weight", "F32", {1}, std::vector<u8>(4)},
      up{"model.layers.0.mlp.up_proj.weight", "F32", {1}, std::vector<u8>(4)};
  const auto add = [&](const std::vector<test::FolderTensor>& tensors) {
    const std::vector<u8> bytes = test::safetensors_file(tensors);
    return source.add_weights(std::move(*files::parse_safetensors(bytes, bytes.size())->file));
  };
  EXPECT_EQ(add({embedding}).error().message, "lacks 1 of the tensors that model.safetensors.index.json says it has");
  ASSERT_TRUE(add({norm, up}).has_value());  // up counts in the other file only
  ASSERT_TRUE(add({embedding, up}).has_value());
  const auto header = source.header();
  ASSERT_TRUE(header.has_value()) << header.error().message;
  EXPECT_EQ(header->find("output_norm.weight")->file, 0u);
  EXPECT_EQ(header->find("blk.0.ffn_up.weight")->file, 1u);
  EXPECT_EQ(header->tensors.size(), 3u);
}

}  // namespace
}  // namespace pronk::sources
