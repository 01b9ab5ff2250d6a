#include "sources/huggingface.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sources/folder.h"
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
  const files::Metadata by_length = metadata_of({{"rope_scaling", longrope}, {"original_max_position_embeddings", 64}});
  EXPECT_EQ(*by_length.u32_at("llama.context_length"), 512u);
  EXPECT_EQ(*by_length.u32_at("llama.rope.scaling.original_context_length"), 64u);
  EXPECT_EQ((*by_length.numbers_at("llama.rope.scaling.long_factors"))->number(0), 2);
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
  EXPECT_EQ(error_of(changed({{"rope_scaling", {{"rope_type", "ntk"}, {"factor", 2}}}})),
            "config.json: 'rope_type' is 'ntk': not supported");
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

TEST(HuggingFace, RefusesMoreMembersThanAnyConfigurationHas) {
  json config = small_config();
  while (config.size() < 10'000) config["key" + std::to_string(config.size())] = 1;
  EXPECT_EQ(error_of(config), "no error");
  config["one more"] = 1;
  EXPECT_EQ(error_of(config), "config.json: the value at byte 0 has 10001 members");
}

// Of a server that does not tell the size of its file.
TEST(HuggingFace, RefusesMoreBytesThanAnyFileHas) {
  const auto error_with = [](u64 columns) {
    const std::string end = std::to_string(2 * columns);
    const std::string text = R"({"other": {"dtype": "F16", "shape": [)" + std::to_string(columns) +
                             R"(], "data_offsets": [0, )" + end + "]}}";
    std::vector<u8> head(8 + text.size());
    head[0] = u8(text.size());
    std::copy(text.begin(), text.end(), head.begin() + 8);
    HuggingFace source;
    EXPECT_TRUE(source.add_file("config.json", changed({{"tie_word_embeddings", true}}).dump()).has_value());
    EXPECT_EQ(source.add_header(head, std::nullopt), u64{0});
    const auto header = source.header();
    return header ? "" : header.error().message;
  };
  EXPECT_EQ(error_with(u64{1} << 47), "");
  EXPECT_EQ(error_with((u64{1} << 47) + 1), "tensor 'other' and those before it have too many bytes");
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

TEST(HuggingFace, TakesTernaryMatricesAsTheyAreStoredOnly) {
  const auto error = [](const json& changes) {
    json quantization = {
        {"quant_method", "bitnet"}, {"linear_class", "autobitlinear"}, {"quantization_mode", "offline"}};
    quantization.merge_patch(changes);
    json config = changed({{"model_type", "bitnet"}, {"hidden_act", "relu2"}});
    config["quantization_config"] = quantization;
    return error_of(config);
  };
  EXPECT_EQ(error(json::object()), "no error");
  EXPECT_EQ(error({{"quantization_mode", "online"}}),
            "config.json: 'quantization_mode' is not 'offline': not supported");
  EXPECT_EQ(error({{"linear_class", nullptr}}), "config.json: 'linear_class' is not 'autobitlinear': not supported");
  EXPECT_EQ(error({{"use_rms_norm", true}}), "config.json: 'use_rms_norm' is set: not supported");
}

// Four numbers of the layer's activation as its file has them: what is one tensor of ours, or the error.
std::string shape_of_numbers(const std::vector<test::FolderTensor>& numbers, const char* hole = nullptr) {
  const json config = changed({{"model_type", "apertus"}, {"hidden_act", "xielu"}, {"tie_word_embeddings", true}});
  std::vector<test::FolderTensor> tensors;
  for (test::FolderTensor number : numbers) {
    if (hole && number.name == hole) tensors.push_back({"between", "F32", {1}, std::vector<u8>(4)});
    number.name = "model.layers.0.mlp.act_fn." + number.name;
    tensors.push_back(number);
  }
  const auto file = test::safetensors_file(tensors);
  HuggingFace source;
  EXPECT_TRUE(source.add_file("config.json", config.dump()).has_value());
  EXPECT_TRUE(source.add_weights(std::move(*files::parse_safetensors(file, file.size())->file)).has_value());
  const auto header = source.header();
  if (!header) return header.error().message;
  const files::TensorInfo* made = header->find("blk.0.ffn_xielu.weight");
  if (header->tensors.size() != 1 || !made) return "other tensors";
  return std::to_string(made->weights()) + " numbers, " + std::to_string(made->bytes) + " bytes";
}

TEST(HuggingFace, NumbersThatFollowEachOtherAreAVector) {
  const auto number = [](const char* name, std::vector<u64> shape = {}) {
    return test::FolderTensor{name, "BF16", shape, std::vector<u8>(shape == std::vector<u64>{2} ? 4 : 2)};
  };
  const auto n = number("alpha_n", {1}), p = number("alpha_p", {1}), beta = number("beta"), eps = number("eps");
  EXPECT_EQ(shape_of_numbers({n, p, beta, eps}), "4 numbers, 8 bytes");
  const std::string apart = "the numbers of 'blk.0.ffn_xielu.weight' do not follow each other";
  EXPECT_EQ(shape_of_numbers({p, n, beta, eps}), apart);
  EXPECT_EQ(shape_of_numbers({n, beta, p, eps}), apart);
  EXPECT_EQ(shape_of_numbers({n, number("alpha_p", {2}), beta, eps}), apart);
  EXPECT_EQ(shape_of_numbers({n, p, {"beta", "F32", {}, std::vector<u8>(4)}, eps}), apart);
  EXPECT_EQ(shape_of_numbers({n, p, beta, eps}, "beta"), apart);
}

// ---- sentence-transformers

constexpr const char* pooling_file = "1_Pooling/config.json";

// Of a folder with that file besides.
Result<files::Gguf> header_with(const char* name, const json& contents, const json& config = small_config()) {
  static const Folder folder = test::folder_of({.layers = 1, .zeros = true});
  HuggingFace source;
  PRONK_OK(source.add_file("config.json", config.dump()));
  PRONK_OK(source.add_file(name, contents.dump()));
  PRONK_TRY(auto parsed, files::parse_safetensors(folder.weights[0], folder.weights[0].size()));
  PRONK_OK(source.add_weights(std::move(*parsed.file)));
  return source.header();
}

std::string error_with(const char* name, const json& contents) {
  const auto header = header_with(name, contents);
  return header ? "no error" : header.error().message;
}

TEST(HuggingFace, PoolsAsTheFolderSays) {
  const auto type = [](const json& pooling) {
    const auto header = header_with(pooling_file, pooling);
    EXPECT_TRUE(header.has_value()) << header.error().message;
    return header ? *header->metadata.u32_or("llama.pooling_type", 0) : 0;
  };
  EXPECT_FALSE(header_of(small_config())->metadata.has("llama.pooling_type"));
  EXPECT_EQ(type({{"word_embedding_dimension", 64}, {"pooling_mode_mean_tokens", true}}), 1u);
  EXPECT_EQ(type({{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}}), 2u);
  EXPECT_EQ(type({{"pooling_mode_lasttoken", true}, {"pooling_mode_mean_tokens", false}}), 3u);
  EXPECT_EQ(type({{"pooling_mode", "cls"}}), 2u);
  EXPECT_EQ(type(json::object()), 1u);
}

TEST(HuggingFace, RefusesPoolingThatItHasNot) {
  const auto error = [](const json& pooling) { return error_with(pooling_file, pooling); };
  EXPECT_EQ(error({{"pooling_mode_max_tokens", true}, {"pooling_mode_mean_tokens", false}}),
            "1_Pooling/config.json: pooling by 'max': not supported");
  EXPECT_EQ(error({{"pooling_mode", "weightedmean"}}),
            "1_Pooling/config.json: pooling by 'weightedmean': not supported");
  EXPECT_EQ(error({{"pooling_mode", "new"}}), "1_Pooling/config.json: pooling by 'new': not supported");
  EXPECT_EQ(error({{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}}),
            "1_Pooling/config.json: pooling in more than one way: not supported");
  EXPECT_EQ(error({{"pooling_mode_mean_tokens", false}}), "1_Pooling/config.json: names no pooling");
}

TEST(HuggingFace, RefusesModulesThatItDoesNotRun) {
  const auto module = [](const char* type, const char* path) {
    return json{{"type", std::string("sentence_transformers.models.") + type}, {"path", path}};
  };
  const json usual = {module("Transformer", ""), module("Pooling", "1_Pooling"), module("Normalize", "2_Normalize")};
  EXPECT_EQ(error_with("modules.json", usual), "no error");
  EXPECT_EQ(error_with("modules.json", json::array({module("LayerNorm", "2_LayerNorm")})),
            "modules.json: a module of type 'LayerNorm': not supported");
  EXPECT_EQ(error_with("modules.json", json::array({module("Pooling", "3_Pooling")})),
            "modules.json: a pooling in '3_Pooling': not supported");
  EXPECT_EQ(error_with("modules.json", json::object()), "modules.json: the value at byte 0 is an object, not an array");
}

// An embedder with Dense modules in those folders, then the config.json of the first of them and its matrix.
std::string error_of_dense(const std::vector<const char*>& folders, const json& changes = json::object(),
                           const std::string& model_type = "gemma3_text", std::vector<u64> shape = {96, 64}) {
  json modules = json::array(), config = changed({{"model_type", model_type},
                                                  {"hidden_act", nullptr},
                                                  {"hidden_activation", "gelu_pytorch_tanh"},
                                                  {"use_bidirectional_attention", model_type == "gemma3_text"}});
  for (const std::string folder : folders)
    modules.push_back(
        {{"type", "sentence_transformers.models." + folder.substr(folder.find('_') + 1)}, {"path", folder}});
  HuggingFace source;
  const auto error = [&](const auto& result) { return result ? "" : result.error().message; };
  const auto add = [&](const char* name, const json& contents) {
    return error(source.add_file(name, contents.dump()));
  };
  if (model_type == "gemma") config.merge_patch({{"use_bidirectional_attention", nullptr}});
  EXPECT_EQ(add("config.json", config), "");
  if (std::string failed = add("modules.json", modules); !failed.empty()) return failed;
  json dense = {{"in_features", 64},
                {"out_features", 96},
                {"bias", false},
                {"activation_function", "torch.nn.modules.linear.Identity"}};
  dense.merge_patch(changes);
  if (std::string failed = dense.empty() ? "" : add("2_Dense/config.json", dense); !failed.empty()) return failed;
  EXPECT_EQ(source.weight_files().size(), 1 + u64(std::ranges::count(folders, '2', [](auto name) { return name[0]; })));
  const auto weights = [&](const std::string& name, const std::vector<u64>& of) {
    u64 bytes = sizeof(float);
    for (const u64 each : of) bytes *= each;
    const auto file = test::safetensors_file({{name, "F32", of, std::vector<u8>(bytes)}});
    return error(source.add_weights(std::move(*files::parse_safetensors(file, file.size())->file)));
  };
  EXPECT_EQ(weights("model.embed_tokens.weight", {config["vocab_size"], 64}), "");
  if (std::string failed = weights("linear.weight", shape); !failed.empty()) return failed;
  const auto header = source.header();
  if (!header) return header.error().message;
  EXPECT_EQ(header->find("dense_2.weight")->file, 1u);
  EXPECT_EQ(*header->metadata.u32_at("gemma-embedding.dense_2_feat_in"), 64u);
  EXPECT_EQ(*header->metadata.u32_at("gemma-embedding.dense_2_feat_out"), 96u);
  return "";
}

TEST(HuggingFace, TakesLinearMapsOfAnEmbeddingAndNoOthers) {
  EXPECT_EQ(error_of_dense({"2_Dense"}), "");
  EXPECT_EQ(error_of_dense({"2_Dense", "3_Normalize"}), "");
  const std::string misplaced = "modules.json: a module of type 'Dense' in '2_Dense' there: not supported";
  EXPECT_EQ(error_of_dense({"1_Normalize", "2_Dense"}), misplaced);
  EXPECT_EQ(error_of_dense({"2_Dense", "2_Dense"}), misplaced);
  EXPECT_EQ(error_of_dense({"2_Dense", "3_Dense", "2_Dense"}), misplaced);
  EXPECT_EQ(error_of_dense({"2_Dense"}, json::object(), "gemma"),
            "modules.json: a module of type 'Dense': not supported");
  const std::string file = "2_Dense/config.json: ";
  for (const json& change : {json{{"bias", nullptr}},
                             {{"bias", true}},
                             {{"activation_function", nullptr}},
                             {{"activation_function", "torch.nn.modules.activation.Tanh"}},
                             {{"module_input_name", "token_embeddings"}},
                             {{"module_output_name", "token_embeddings"}}}) {
    EXPECT_EQ(error_of_dense({"2_Dense"}, change),
              file + "not supported but without a bias, with 'Identity' and of 'sentence_embedding'");
  }
  EXPECT_EQ(error_of_dense({"2_Dense"}, {{"in_features", 1ull << 32}}), file + "its widths are out of range");
  EXPECT_EQ(error_of_dense({"2_Dense"}, json::object(), "gemma3_text", {64, 96}),
            "tensor 'linear.weight' is not as its config.json says");
}

TEST(HuggingFace, GemmaSeesWhatComesBehindWhereItsConfigurationSaysSo) {
  for (const auto& [value, architecture] :
       {std::pair(json(true), "gemma-embedding"), {json(false), "gemma3"}, {json(nullptr), "gemma3"}}) {
    json config = changed({{"model_type", "gemma3_text"}, {"hidden_activation", "gelu_pytorch_tanh"}});
    config["use_bidirectional_attention"] = value;
    const auto header = header_of(config);
    ASSERT_TRUE(header.has_value()) << header.error().message;
    EXPECT_EQ(*header->metadata.string_at("general.architecture"), architecture);
  }
}

TEST(HuggingFace, WantsTheConfigurationOfADenseModule) {
  HuggingFace source;
  const json config = changed({{"model_type", "gemma3_text"},
                               {"hidden_activation", "gelu_pytorch_tanh"},
                               {"use_bidirectional_attention", true}});
  const json modules = {{{"type", "sentence_transformers.models.Dense"}, {"path", "2_Dense"}}};
  const auto named = named_files("modules.json", modules.dump());
  EXPECT_EQ(std::vector(named.begin(), named.end()), std::vector<std::string_view>{"2_Dense/config.json"});
  EXPECT_TRUE(named_files("config.json", modules.dump()).empty());
  ASSERT_TRUE(source.add_file("config.json", config.dump()).has_value());
  ASSERT_TRUE(source.add_file("2_Dense/config.json", R"({"bias": 1})").has_value());  // no module
  ASSERT_TRUE(source.add_file("modules.json", modules.dump()).has_value());
  const auto weights = [&](const char* name) {
    const auto file = test::safetensors_file({{name, "F32", {2, 2}, std::vector<u8>(16)}});
    return source.add_weights(std::move(*files::parse_safetensors(file, file.size())->file));
  };
  ASSERT_TRUE(weights("model.embed_tokens.weight").has_value());
  const auto added = weights("linear.weight");
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(added.error().message, "2_Dense/config.json is missing");
}

// ---- Keys that change what a model computes

TEST(HuggingFace, RefusesWhatItsGraphsHaveNot) {
  for (const char* key :
       {"clip_qkv", "conv_bias", "use_cla", "attn_layer_indices", "rotary_scaling_factor", "rotary_emb_scale_base"}) {
    EXPECT_EQ(error_of(changed({{key, 1}})), "config.json: '" + std::string(key) + "' is set: not supported");
    EXPECT_EQ(error_of(changed({{key, false}})), "no error");
  }
  json bert = changed({{"model_type", "bert"}, {"position_embedding_type", "absolute"}, {"hidden_act", "gelu"}});
  EXPECT_EQ(error_of(bert), "no error");
  bert["position_embedding_type"] = "relative_key";
  EXPECT_EQ(error_of(bert), "config.json: 'position_embedding_type' is not 'absolute': not supported");
  json nomic = changed({{"model_type", "nomic_bert"}, {"rotary_emb_fraction", 1.0}, {"moe_every_n_layers", 0}});
  EXPECT_EQ(error_of(nomic), "no error");
  nomic["moe_every_n_layers"] = 2;
  EXPECT_EQ(error_of(nomic), "config.json: 'moe_every_n_layers' is not '0': not supported");
  EXPECT_EQ(error_of(changed({{"model_type", "gpt_oss"}, {"swiglu_limit", 5}})),
            "config.json: 'swiglu_limit' is not '7': not supported");
}

TEST(HuggingFace, TakesRopeTypesOfTheClassOnly) {
  const json mrope = {{"type", "mrope"}, {"mrope_section", {2, 3, 3}}};
  EXPECT_EQ(error_of(changed({{"rope_scaling", mrope}})), "config.json: 'rope_type' is 'mrope': not supported");
  EXPECT_EQ(error_of(changed({{"model_type", "qwen2_vl"}, {"rope_scaling", mrope}})), "no error");
  const json dynamic = {{"type", "dynamic"}, {"factor", 2}, {"alpha", 1000}};
  EXPECT_EQ(*metadata_of({{"rope_scaling", dynamic}, {"rope_theta", 500}}).f64_at("llama.rope.freq_base"), 500);
  const json windowed = {{"full_attention", {{"rope_theta", 5}}},
                         {"sliding_attention", {{"rope_theta", 5}, {"rope_type", "yarn"}}}};
  EXPECT_EQ(error_of(changed({{"rope_parameters", windowed}})),
            "config.json: 'sliding_attention' is 'yarn': not supported");
}

TEST(HuggingFace, TakesStepsThatAreNotClamped) {
  const std::string before = R"({"model_type": "mamba2", "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 8,
                                 "tie_word_embeddings": true, "x": "\"Infinity", "time_step_limit": )";
  const auto error = [&](const std::string& limit) {
    const Status status = HuggingFace().add_file("config.json", before + limit + "}");
    return status ? "no error" : status.error().message;
  };
  for (const char* limit : {"[0.0, Infinity]", R"([0.0, {"__float__": "Infinity"}])", "null"})
    EXPECT_EQ(error(limit), "no error") << limit;
  for (const char* limit : {"[0.0, 0.1]", "[0.5, Infinity]", "[0.0]", "[]", "[0, NaN]", "[0, 1, Infinity]"})
    EXPECT_EQ(error(limit), "config.json: 'time_step_limit' is not 0 and infinity: not supported") << limit;
}

TEST(HuggingFace, WantsAHeadWhereNothingTies) {
  const ModelSpec headless{.layers = 1, .tied = true, .zeros = true};
  const test::Folder folder = test::folder_of(headless);
  const auto error = [&](const json& config) {
    HuggingFace source;
    EXPECT_TRUE(source.add_file("config.json", config.dump()).has_value());
    auto parsed = files::parse_safetensors(folder.weights[0], folder.weights[0].size());
    EXPECT_TRUE(source.add_weights(std::move(*parsed->file)).has_value());
    const auto header = source.header();
    return header ? "no error" : header.error().message;
  };
  json text = changed({{"tie_word_embeddings", nullptr}});
  const std::string missing = "tensor 'lm_head.weight' is missing";
  EXPECT_EQ(error(text), missing);
  EXPECT_EQ(error({{"model_type", "mistral3"}, {"text_config", text}}), "no error");
  EXPECT_EQ(error({{"model_type", "mistral3"}, {"text_config", text}, {"tie_word_embeddings", false}}), missing);
  const json around = {{"model_type", "paligemma"}, {"text_config", small_config()}};
  EXPECT_EQ(error_of(around), "config.json: 'model_type' is 'paligemma': not supported");
}

TEST(HuggingFace, ReadsWhatDiffersByLayer) {
  const json gemma4 = {{"model_type", "gemma4_text"},
                       {"hidden_activation", "gelu_pytorch_tanh"},
                       {"num_hidden_layers", 3},
                       {"hidden_size_per_layer_input", 0},
                       {"global_head_dim", 32},
                       {"attention_k_eq_v", true},
                       {"num_global_key_value_heads", 1},
                       {"use_double_wide_mlp", true},
                       {"num_kv_shared_layers", 1},
                       {"use_bidirectional_attention", "vision"},
                       {"layer_types", {"sliding_attention", "sliding_attention", "full_attention"}}};
  const files::Metadata metadata = metadata_of(gemma4);
  EXPECT_EQ(*metadata.u32_at("gemma4.attention.key_length"), 32u);
  EXPECT_EQ(*metadata.u32_at("gemma4.attention.value_length_swa"), 16u);
  const files::Array& heads = **metadata.integers_at("gemma4.attention.head_count_kv");
  EXPECT_EQ(std::vector<i64>({heads.integer(0), heads.integer(1), heads.integer(2)}), (std::vector<i64>{2, 2, 1}));
  const files::Array& widths = **metadata.integers_at("gemma4.feed_forward_length");
  EXPECT_EQ(std::vector<i64>({widths.integer(0), widths.integer(1), widths.integer(2)}),
            (std::vector<i64>{96, 96, 192}));
  const files::Array& divisors = **metadata.numbers_at("gemma4.rope.scaling.short_factors");
  EXPECT_EQ(divisors.count(), 16u);
  EXPECT_EQ(divisors.number(3), 1);  // a quarter of them
  EXPECT_EQ(divisors.number(4), double(1e30f));
  const auto error = [&](const json& more) {
    json config = changed(gemma4);
    config.update(more);
    return error_of(config);
  };
  EXPECT_EQ(error({{"use_bidirectional_attention", "all"}}),
            "config.json: 'use_bidirectional_attention' is set: not supported");
  EXPECT_EQ(error({{"global_head_dim", 1 << 20}}), "config.json: 'global_head_dim' is out of range");
  EXPECT_EQ(error({{"intermediate_size", u32{1} << 31}}), "config.json: 'intermediate_size' is out of range");
  const json rope = {
      {"full_attention", {{"rope_type", "proportional"}, {"rope_theta", 5}, {"partial_rotary_factor", 2}}}};
  EXPECT_EQ(error({{"rope_parameters", rope}}), "config.json: 'partial_rotary_factor' is not between 0 and 1");
  EXPECT_EQ(error_of(changed({{"rope_parameters", rope["full_attention"]}})),
            "config.json: 'rope_type' is 'proportional': not supported");
}

TEST(HuggingFace, ReadsHowSparseActivationsAre) {
  json config = changed({{"model_type", "gemma3n_text"}, {"hidden_activation", "gelu_pytorch_tanh"}});
  config["activation_sparsity_pattern"] = {0.95, 0.0};
  auto header = header_of(config);
  ASSERT_TRUE(header.has_value()) << header.error().message;
  const files::Array& deviations = **header->metadata.numbers_at("gemma3n.activation_sparsity_scale");
  EXPECT_NEAR(deviations.number(0), 1.6448536, 1e-6);
  EXPECT_EQ(deviations.number(1), -INFINITY);
  config.erase("activation_sparsity_pattern");
  header = header_of(config);
  EXPECT_EQ((*header->metadata.numbers_at("gemma3n.activation_sparsity_scale"))->number(0), -INFINITY);
  for (const double share : {1.0, -0.5}) {
    config["activation_sparsity_pattern"] = share;
    EXPECT_EQ(error_of(config), "config.json: 'activation_sparsity_pattern' is not from 0 to below 1");
  }
}

TEST(HuggingFace, FindsLayersWithoutAListOfThem) {
  const auto error = [](const json& changes) { return error_of(changed(changes)); };
  EXPECT_EQ(error({{"model_type", "smollm3"}, {"no_rope_layer_interval", 0}}),
            "config.json: 'no_rope_layer_interval' is 0");
  EXPECT_EQ(error({{"model_type", "qwen3_next"}, {"full_attention_interval", 0}}),
            "config.json: 'full_attention_interval' is 0");
  EXPECT_EQ(error({{"model_type", "lfm2"}, {"full_attn_idxs", json::array({1})}}),
            "config.json: 'full_attn_idxs' is out of range");
  const auto header = header_of(
      changed({{"model_type", "smollm3"}, {"no_rope_layers", json::array({0})}, {"no_rope_layer_interval", 3}}));
  ASSERT_TRUE(header.has_value()) << header.error().message;
  const files::Array& rotated = **header->metadata.integers_at("smollm3.rope.rotated_layers");
  EXPECT_EQ(rotated.integer(0), 0);
}

}  // namespace
}  // namespace pronk::sources
