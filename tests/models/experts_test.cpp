// Experts, latent attention and shared keys and values: what is taken from keys and tensors, and sizes that are
// refused. Their numbers: tests/cpu/archs_test.cpp.
#include "models/experts.h"

#include <gtest/gtest.h>

#include "header.h"
#include "models/gemma_layers.h"

namespace pronk::models {
namespace {

using graph::Route;
using test::Header;

using Keys = std::vector<std::pair<std::string, u32>>;

// The error of a model with such keys beside Header's, or "".
std::string error_of(const std::string& architecture, const test::HeaderSizes& sizes, const Keys& keys,
                     void (*read)(Build&)) {
  Header header(architecture, sizes);
  for (const auto& [key, value] : keys) header.key(key, value);
  const files::Gguf file = header.parse();
  Build build(file, architecture);
  read(build);
  const auto result = std::move(build).result();
  return result ? std::string() : result.error().message;
}

std::string experts_error(Keys keys) {
  return error_of("llama", {}, keys, [](Build& b) { read_experts(b); });
}

TEST(Experts, NumbersOutOfRangeAreErrors) {
  const Keys good{
      {"expert_count", 8}, {"expert_used_count", 4}, {"expert_group_count", 4}, {"expert_group_used_count", 2}};
  EXPECT_EQ(experts_error(good), "");
  EXPECT_EQ(experts_error({}), "");
  const std::pair<std::string, u32> changes[] = {
      {"expert_count", 10},           // not as many in each group
      {"expert_count", 1028},         // more than a router takes
      {"expert_count", 1 << 20},      // absurd
      {"expert_used_count", 5},       // more than the groups used hold
      {"expert_group_used_count", 5}  // more than there are
  };
  for (const auto& [changed, value] : changes) {
    Keys keys = good;
    for (auto& [key, number] : keys)
      if (key == changed) number = value;
    EXPECT_NE(experts_error(keys).find("expert_*"), std::string::npos) << changed;
  }
  Keys wide = good;
  wide.push_back({"expert_feed_forward_length", 1 << 24});
  wide[0].second = 1024;
  EXPECT_NE(experts_error(wide).find("expert_*"), std::string::npos);
  EXPECT_NE(experts_error({{"expert_count", 2}, {"expert_used_count", 1}, {"expert_gating_func", 4}}).find("gating"),
            std::string::npos);
}

TEST(Experts, KeysAndWhatTheyMeanWhenMissing) {
  Header header("qwen3moe");
  header.key("expert_count", 4);
  header.key("expert_used_count", 2);
  const files::Gguf file = header.parse();
  Build build(file, "qwen3moe");
  const Experts missing = read_experts(build);
  EXPECT_EQ(missing.hidden, 32u);  // feed_forward_length
  EXPECT_EQ(missing.shared_hidden, 0u);
  EXPECT_EQ(missing.gating, Route::Gating::softmax);
  EXPECT_TRUE(missing.normalize);
  EXPECT_EQ(missing.scale, 1);
  EXPECT_FALSE(read_experts(build, false).normalize);

  header.key("expert_feed_forward_length", 24);
  header.key("expert_shared_count", 2);
  header.key("expert_gating_func", 2);
  header.writer.add_bool("qwen3moe.expert_weights_norm", false);
  header.writer.add_f32("qwen3moe.expert_weights_scale", 2.5f);
  const files::Gguf other = header.parse();
  Build full(other, "qwen3moe");
  const Experts experts = read_experts(full);
  EXPECT_EQ(experts.hidden, 24u);
  EXPECT_EQ(experts.shared_hidden, 48u);
  EXPECT_EQ(experts.gating, Route::Gating::sigmoid);
  EXPECT_FALSE(experts.normalize);
  EXPECT_EQ(experts.scale, 2.5);
}

// Layer 0 of two has experts when it has a router.
TEST(Experts, ALayerWithoutARouterIsDense) {
  Header header("llama", {.layers = 2});
  header.key("expert_count", 4);
  header.key("expert_used_count", 2);
  header.norms({"attn_norm", "ffn_norm"});
  header.matrices(true);
  header.layer_tensor(0, "ffn_gate_inp.weight", {16, 4});
  header.layer_tensor(0, "ffn_gate_exps.weight", {16, 32, 4});
  header.layer_tensor(0, "ffn_up_exps.weight", {16, 32, 4});
  header.layer_tensor(0, "ffn_down_exps.weight", {32, 16, 4});
  const graph::Graph graph = header.build();
  u32 routes = 0, chosen = 0;
  for (const graph::PlainOp& op : graph.ops) {
    routes += std::holds_alternative<Route>(op);
    if (const auto* product = std::get_if<graph::MatMul>(&op)) chosen += product->chosen != ValueId::none;
  }
  EXPECT_EQ(routes, 1u);
  EXPECT_EQ(chosen, 3u);
}

TEST(Experts, PredictionLayersAreLeftOut) {
  const auto layers = [](u32 ahead) {
    Header header("glm4moe", {.layers = 3});
    header.key("nextn_predict_layers", ahead);
    const files::Gguf file = header.parse();
    Build build(file, "glm4moe");
    skip_prediction_layers(build);
    EXPECT_EQ(build.ok(), ahead < 3);
    return build.hyper.layers;
  };
  EXPECT_EQ(layers(0), 3u);
  EXPECT_EQ(layers(1), 2u);
  layers(3);
}

// ---- DeepSeek's latent attention

Keys latent_keys() {
  return {{"rope.dimension_count", 4},
          {"attention.key_length_mla", 12},
          {"attention.value_length_mla", 8},
          {"attention.kv_lora_rank", 16}};
}

Header deepseek(const Keys& keys, bool experts) {
  Header header("deepseek2");
  for (const auto& [key, value] : keys) header.key(key, value);
  header.norms({"attn_norm", "ffn_norm"});
  header.layer_tensor(0, "attn_q.weight", {16, 24});
  header.layer_tensor(0, "attn_kv_a_mqa.weight", {16, 20});
  header.layer_tensor(0, "attn_kv_a_norm.weight", {16});
  header.layer_tensor(0, "attn_k_b.weight", {8, 16, 2});
  header.layer_tensor(0, "attn_v_b.weight", {16, 8, 2});
  header.layer_tensor(0, "attn_output.weight", {16, 16});
  if (!experts) {
    header.layer_tensor(0, "ffn_gate.weight", {16, 32});
    header.layer_tensor(0, "ffn_up.weight", {16, 32});
    header.layer_tensor(0, "ffn_down.weight", {32, 16});
    return header;
  }
  header.key("expert_count", 4);
  header.key("expert_used_count", 2);
  header.layer_tensor(0, "ffn_gate_inp.weight", {16, 4});
  header.layer_tensor(0, "ffn_gate_exps.weight", {16, 32, 4});
  header.layer_tensor(0, "ffn_up_exps.weight", {16, 32, 4});
  header.layer_tensor(0, "ffn_down_exps.weight", {32, 16, 4});
  return header;
}

TEST(LatentAttention, TheCacheHoldsTheLatentAndOneRotatedPart) {
  const graph::Graph graph = deepseek(latent_keys(), false).build();
  ASSERT_EQ(graph.states.size(), 1u);
  EXPECT_EQ(graph.kv(StateId(0)),
            (graph::KvState{.heads = 1, .key_width = 20, .value_width = 16, .values_in_keys = true}));
}

TEST(LatentAttention, ATemperatureByPositionIsAnError) {
  for (const float scale : {0.0f, 0.1f}) {
    Header header = deepseek(latent_keys(), false);
    header.writer.add_f32("deepseek2.attention.temperature_scale", scale);
    const auto model = read_model(header.parse());
    ASSERT_EQ(model.has_value(), scale == 0);
    if (!model) EXPECT_NE(model.error().message.find("temperature_scale"), std::string::npos) << model.error().message;
  }
}

TEST(LatentAttention, SizesThatAreNotSupportedAreErrors) {
  const std::pair<std::string, u32> changes[] = {
      {"rope.dimension_count", 6},          {"rope.dimension_count", 12},     {"attention.key_length_mla", 1028},
      {"attention.value_length_mla", 1028}, {"attention.kv_lora_rank", 1024}, {"attention.kv_lora_rank", 18}};
  for (const auto& [changed, value] : changes) {
    Keys keys = latent_keys();
    for (auto& [key, number] : keys)
      if (key == changed) number = value;
    const auto model = read_model(deepseek(keys, false).parse());
    ASSERT_FALSE(model.has_value()) << changed << " " << value;
    EXPECT_NE(model.error().message.find("latent attention"), std::string::npos) << model.error().message;
  }
}

// Files of DeepSeek V3 that are older than expert_gating_func.
TEST(LatentAttention, ExpertsWithABiasAreGatedBySigmoidsUnlessTheKeySaysOtherwise) {
  const auto gating = [](bool bias, u32 key) {
    Header header = deepseek(latent_keys(), true);
    if (bias) header.layer_tensor(0, "exp_probs_b.bias", {4});
    if (key != 0) header.key("expert_gating_func", key);
    const graph::Graph graph = header.build();
    for (const graph::PlainOp& op : graph.ops)
      if (const auto* route = std::get_if<Route>(&op)) return route->gating;
    ADD_FAILURE() << "no experts";
    return Route::Gating::softmax_after;
  };
  EXPECT_EQ(gating(false, 0), Route::Gating::softmax);
  EXPECT_EQ(gating(true, 0), Route::Gating::sigmoid);
  EXPECT_EQ(gating(true, 1), Route::Gating::softmax);
}

// ---- Gemma's shared keys and values

// Four layers, of which the last `shared` have no keys and values; the second and the last see all.
Header gemma4(u32 shared, const Keys& keys = {}) {
  Header header("gemma4", {.layers = 4});
  header.key("attention.sliding_window", 8);
  header.key("attention.sliding_window_pattern", 2);
  header.key("attention.shared_kv_layers", shared);
  for (const auto& [key, value] : keys) header.key(key, value);
  header.matrices(true);
  header.norms({"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"});
  for (u32 i = 0; i < 4; ++i) {
    header.layer_tensor(i, "attn_q_norm.weight", {8});
    header.layer_tensor(i, "attn_k_norm.weight", {8});
  }
  return header;
}

TEST(SharedAttention, LayersSeeTheLastStateOfTheirKind) {
  const graph::Graph graph = gemma4(2).build();
  ASSERT_EQ(graph.states.size(), 2u);
  EXPECT_EQ(graph.kv(StateId(0)).window, 8u);
  EXPECT_EQ(graph.kv(StateId(1)).window, 0u);
  std::vector<StateId> seen;
  for (const graph::PlainOp& op : graph.ops)
    if (const auto* attention = std::get_if<graph::Attention>(&op)) seen.push_back(attention->state);
  EXPECT_EQ(seen, (std::vector<StateId>{StateId(0), StateId(1), StateId(0), StateId(1)}));
}

TEST(SharedAttention, WithoutOneItIsAnError) {
  for (const u32 shared : {3u, 4u, 9u}) {
    const auto model = read_model(gemma4(shared).parse());
    ASSERT_FALSE(model.has_value()) << shared;
    EXPECT_NE(model.error().message.find("keys and values that fit"), std::string::npos) << model.error().message;
  }
}

TEST(SharedAttention, SizesThatAreNotSupportedAreErrors) {
  const auto error = [](const Keys& keys) {
    const auto model = read_model(gemma4(0, keys).parse());
    return model.has_value() ? std::string() : model.error().message;
  };
  EXPECT_EQ(error({}), "");
  for (const u32 size : {4u, 6u, 1028u}) {
    EXPECT_NE(error({{"attention.key_length_swa", size}, {"attention.value_length_swa", 8}}).find("key_length"),
              std::string::npos)
        << size;
  }
  for (const u32 size : {6u, 1028u}) {
    EXPECT_NE(error({{"attention.key_length_swa", size}, {"attention.value_length_swa", size}}).find("key_length"),
              std::string::npos)
        << size;
  }
  for (const u32 rotated : {7u, 10u})
    EXPECT_NE(error({{"rope.dimension_count_swa", rotated}}).find("dimension_count_swa"), std::string::npos);
  EXPECT_NE(error({{"embedding_length_per_layer_input", 1 << 29}}).find("per_layer_input"), std::string::npos);
}

TEST(SharedAttention, HeadsThatDoNotFitTheStateAreErrors) {
  for (const Heads& heads : {Heads{2, 2, 8, 8}, Heads{1, 1, 8, 8}, Heads{2, 2, 8, 4}, Heads{2, 2, 4, 4}}) {
    Header header("gemma4", {.layers = 2, .kv_heads = 2});
    header.key("attention.sliding_window", 8);
    header.matrices(true);
    header.layer_tensor(0, "attn_q_norm.weight", {8});
    header.layer_tensor(0, "attn_k_norm.weight", {8});
    header.layer_tensor(1, "attn_q_norm.weight", {8});
    const files::Gguf file = header.parse();
    Build build(file, "gemma4");
    SharedAttention attention(build, 1, 1);  // layer 1 sees the state of layer 0
    const RopeId rope = build.rope(RopePairs::halves, 4);
    Layer first(build, 0), second(build, 1);
    const ValueId x = build.embed();
    attention(first, x, {2, 2, 8, 8}, rope);
    EXPECT_TRUE(build.ok());
    attention(second, x, heads, rope);
    const auto result = std::move(build).result();
    const bool fits = heads.query == 2 && heads.key == 8 && heads.value == 8;
    EXPECT_EQ(result.has_value(), fits) << heads.query << " " << heads.key << " " << heads.value;
    if (!fits && !result) {
      EXPECT_NE(result.error().message.find("keys and values that fit"), std::string::npos) << result.error().message;
    }
  }
}

TEST(FeedForward, AWidthOfZeroIsAnError) {
  Header header("llama");
  const i32 widths[] = {32, 0};
  header.writer.add_u32("x.block_count", 2);
  header.writer.add_u32("x.embedding_length", 16);
  header.writer.add_i32s("x.feed_forward_length", widths);
  const files::Gguf file = header.parse();
  Build build(file, "x");
  Layer first(build, 0), second(build, 1);
  EXPECT_EQ(read_feed_forward(first), 32u);
  EXPECT_TRUE(build.ok());
  read_feed_forward(second);
  EXPECT_FALSE(build.ok());
}

}  // namespace
}  // namespace pronk::models
