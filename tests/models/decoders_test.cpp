// What decoders take from layer counts, flags and the presence of tensors. Their numbers: tests/cpu/archs_test.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "header.h"

namespace pronk::models {
namespace {

using graph::Graph;
using test::Header;

template <class Op>
std::vector<Op> all(const Graph& graph) {
  std::vector<Op> result;
  for (const graph::PlainOp& op : graph.ops)
    if (const auto* found = std::get_if<Op>(&op)) result.push_back(*found);
  return result;
}

// The name of the weight of the norm that makes what the matrix reads.
std::string norm_before(const Graph& graph, const std::string& matrix) {
  for (const auto& product : all<graph::MatMul>(graph)) {
    if (graph[product.weight].name != matrix) continue;
    for (const auto& norm : all<graph::Norm>(graph))
      if (norm.out == product.x) return graph[norm.weight].name;
  }
  return "";
}

graph::ValueId norm_input(const Graph& graph, const std::string& weight) {
  for (const auto& norm : all<graph::Norm>(graph))
    if (norm.weight != WeightId::none && graph[norm.weight].name == weight) return norm.x;
  return graph::ValueId::none;
}

TEST(Decoders, FalconsAttentionHasANormOfItsOwnWhenTheFileHasIt) {
  for (const bool own : {false, true}) {
    Header header("falcon");
    header.matrices(false);
    header.norms({"attn_norm"});
    if (own) header.norms({"attn_norm_2"});
    const Graph graph = header.build();
    EXPECT_EQ(norm_before(graph, "blk.0.attn_q.weight"), own ? "blk.0.attn_norm_2.weight" : "blk.0.attn_norm.weight");
    EXPECT_EQ(norm_before(graph, "blk.0.ffn_up.weight"), "blk.0.attn_norm.weight");
  }
}

TEST(Decoders, GptNeoxIsParallelByItsKey) {
  for (const bool parallel : {false, true}) {
    Header header("gptneox");
    header.matrices(false);
    header.norms({"attn_norm", "ffn_norm"});
    header.writer.add_bool("gptneox.use_parallel_residual", parallel);
    const Graph graph = header.build();
    const bool same = norm_input(graph, "blk.0.attn_norm.weight") == norm_input(graph, "blk.0.ffn_norm.weight");
    EXPECT_EQ(same, parallel);
  }
}

// The 27B models of Gemma 2 and 3, which only their layer counts tell.
TEST(Decoders, GemmasScaleByLayerCount) {
  for (const auto& [name, layers, special] :
       {std::tuple{"gemma2", 46u, true}, {"gemma2", 42u, false}, {"gemma3", 62u, true}, {"gemma3", 48u, false}}) {
    // Narrow heads: with those of the width the scales are equal.
    Header header(name, {.layers = layers});
    header.key("attention.key_length", 4);
    for (u32 i = 0; i < layers; ++i) {
      header.layer_tensor(i, "attn_q.weight", {16, 8});
      header.layer_tensor(i, "attn_k.weight", {16, 4});
      header.layer_tensor(i, "attn_v.weight", {16, 4});
      header.layer_tensor(i, "attn_output.weight", {8, 16});
      header.layer_tensor(i, "ffn_gate.weight", {16, 32});
      header.layer_tensor(i, "ffn_up.weight", {16, 32});
      header.layer_tensor(i, "ffn_down.weight", {32, 16});
    }
    header.norms({"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"});
    const auto attention = all<graph::Attention>(header.build());
    ASSERT_EQ(attention.size(), layers);
    EXPECT_FLOAT_EQ(attention[0].scale, float(1 / std::sqrt(special ? 8.0 : 4.0))) << name << layers;
  }
}

TEST(Decoders, CommandRNormalizesQAndKByHeadsWhenTheFileHasNorms) {
  for (const bool norms : {false, true}) {
    Header header("command-r");
    header.matrices(true);
    header.norms({"attn_norm"});
    if (norms) {
      header.layer_tensor(0, "attn_q_norm.weight", {8, 2});
      header.layer_tensor(0, "attn_k_norm.weight", {8, 1});
    }
    u32 of_heads = 0;
    for (const auto& norm : all<graph::Norm>(header.build())) {
      EXPECT_EQ(norm.kind, graph::Norm::Kind::layer);
      of_heads += norm.group == 8;
    }
    EXPECT_EQ(of_heads, norms ? 2u : 0u);
  }
}

TEST(Decoders, GraniteRotatesUnlessItsKeySaysNo) {
  for (const bool rotates : {false, true}) {
    Header header("granite");
    header.matrices(true);
    header.norms({"attn_norm", "ffn_norm"});
    header.writer.add_bool("granite.rope.scaling.finetuned", rotates);
    header.writer.add_f32("granite.logit_scale", 4);
    EXPECT_EQ(all<graph::Rope>(header.build()).size(), rotates ? 2u : 0u);
  }
}

TEST(Decoders, WithoutAWindowGemma3AndExaone4SeeAll) {
  for (const char* name : {"gemma3", "exaone4"}) {
    for (const bool window : {false, true}) {
      Header header(name, {.layers = 8});
      header.matrices(true);
      header.norms({"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"});
      header.key("attention.sliding_window", window ? 5 : 0);
      header.writer.add_f32(std::string(name) + ".rope.freq_base_swa", 100);
      const Graph graph = header.build();
      const auto attention = all<graph::Attention>(graph);
      ASSERT_EQ(attention.size(), 8u);
      EXPECT_EQ(attention[0].window, window ? 5u : 0u);
      EXPECT_EQ(graph.kv(attention[0].state).window, window ? 5u : 0u);
      // Six of eight layers of EXAONE 4 rotate once there is a window; of Gemma 3 all do, by two tables.
      const bool exaone = std::string_view(name) == "exaone4";
      EXPECT_EQ(all<graph::Rope>(graph).size(), exaone && window ? 12u : 16u);
      EXPECT_EQ(graph.ropes.size(), !exaone && window ? 2u : 1u);
    }
  }
}

TEST(Decoders, EmbeddingGemmasLinearMapsFollowWhenTheFileHasThem) {
  Header header("gemma-embedding");
  header.matrices(true);
  header.norms({"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"});
  header.key("attention.sliding_window", 6);
  header.key("pooling_type", 1);
  const Graph before = header.build();
  EXPECT_EQ(before[before.output].width, 16u);
  EXPECT_EQ(before.pooling, graph::Pooling::mean);
  EXPECT_FALSE(before.causal());
  EXPECT_EQ(before.kv(all<graph::Attention>(before)[0].state).window, 0u);  // all of the run is there at once
  header.tensor("dense_2.weight", {16, 48});
  header.tensor("dense_3.weight", {48, 24});
  const Graph after = header.build();
  EXPECT_EQ(after[after.output].width, 24u);
  EXPECT_EQ(after.hidden, after.output);
}

std::string error_of(const Header& header) {
  const auto model = read_model(header.parse());
  return model ? "" : model.error().message;
}

TEST(Decoders, ExpertsThatNoKeyCountsAreAnError) {
  Header header("olmoe");
  header.matrices(true);
  header.norms({"attn_norm", "ffn_norm"});
  header.layer_tensor(0, "ffn_gate_inp.weight", {16, 4});
  for (const char* name : {"ffn_gate_exps.weight", "ffn_up_exps.weight"}) header.layer_tensor(0, name, {16, 32, 4});
  header.layer_tensor(0, "ffn_down_exps.weight", {32, 16, 4});
  EXPECT_NE(error_of(header).find("'expert_count' is missing"), std::string::npos);
  header.key("expert_count", 4);
  header.key("expert_used_count", 2);
  EXPECT_EQ(error_of(header), "");
}

TEST(Decoders, GatedAttentionNeedsValuesAsWideAsKeys) {
  for (const u32 value : {8u, 4u}) {
    Header header("qwen35", {.kv_heads = 2});
    header.key("attention.value_length", value);
    header.norms({"attn_norm", "post_attention_norm"});
    header.layer_tensor(0, "attn_q.weight", {16, 32});
    header.layer_tensor(0, "attn_k.weight", {16, 16});
    header.layer_tensor(0, "attn_v.weight", {16, 2 * value});
    header.layer_tensor(0, "attn_output.weight", {2 * value, 16});
    for (const char* name : {"attn_q_norm.weight", "attn_k_norm.weight"}) header.layer_tensor(0, name, {8});
    for (const char* name : {"ffn_gate.weight", "ffn_up.weight"}) header.layer_tensor(0, name, {16, 32});
    header.layer_tensor(0, "ffn_down.weight", {32, 16});
    EXPECT_EQ(error_of(header).find("value_length") != std::string::npos, value == 4) << error_of(header);
  }
}

TEST(Decoders, BitNetsScalesBesideTheirMatricesAreAnError) {
  Header header("bitnet");
  header.matrices(true);
  header.norms({"attn_norm", "attn_sub_norm", "ffn_norm"});
  header.layer_tensor(0, "ffn_sub_norm.weight", {32});
  EXPECT_EQ(error_of(header), "");
  header.layer_tensor(0, "ffn_up.scale", {1});
  EXPECT_NE(error_of(header).find("'blk.0.ffn_up.scale'"), std::string::npos) << error_of(header);
}

}  // namespace
}  // namespace pronk::models
