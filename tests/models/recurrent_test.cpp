// Recurrent layers and encoders: which layer a file's tensors make, and sizes that are refused. Their numbers:
// tests/cpu/archs_test.cpp.
#include <gtest/gtest.h>

#include <map>

#include "header.h"

namespace pronk::models {
namespace {

using graph::Graph;
using graph::Pooling;
using test::Header;

template <class Op>
u32 count(const Graph& graph) {
  u32 found = 0;
  for (const graph::PlainOp& op : graph.ops) found += std::holds_alternative<Op>(op);
  return found;
}

bool has_weight(const Graph& graph, std::string_view name) {
  return std::any_of(graph.weights.begin(), graph.weights.end(), [&](const auto& w) { return w.name == name; });
}

std::string error_of(const Header& header) {
  const auto model = read_model(header.parse());
  return model ? std::string() : model.error().message;
}

// A gated delta net of 2 key heads and 4 value heads of 8 columns.
void delta_net(Header& header, u32 layer) {
  header.layer_tensor(layer, "attn_qkv.weight", {16, 64});
  header.layer_tensor(layer, "attn_gate.weight", {16, 32});
  header.layer_tensor(layer, "ssm_conv1d.weight", {4, 64});
  header.layer_tensor(layer, "ssm_dt.bias", {4});
  header.layer_tensor(layer, "ssm_a", {4});
  header.layer_tensor(layer, "ssm_alpha.weight", {16, 4});
  header.layer_tensor(layer, "ssm_beta.weight", {16, 4});
  header.layer_tensor(layer, "ssm_norm.weight", {8});
  header.layer_tensor(layer, "ssm_out.weight", {32, 16});
}

void gated_attention(Header& header, u32 layer) {
  header.layer_tensor(layer, "attn_q.weight", {16, 32});
  header.layer_tensor(layer, "attn_k.weight", {16, 8});
  header.layer_tensor(layer, "attn_v.weight", {16, 8});
  header.layer_tensor(layer, "attn_q_norm.weight", {8});
  header.layer_tensor(layer, "attn_k_norm.weight", {8});
  header.layer_tensor(layer, "attn_output.weight", {16, 16});
}

using Keys = std::map<std::string, u32>;
const Keys delta_keys{{"ssm.conv_kernel", 4},
                      {"ssm.state_size", 8},
                      {"ssm.group_count", 2},
                      {"ssm.time_step_rank", 4},
                      {"ssm.inner_size", 32}};

// Three layers, the second of which is attention.
Header qwen35(const Keys& keys) {
  Header header("qwen35", {.layers = 3});
  for (const auto& [key, value] : keys) header.key(key, value);
  for (u32 i = 0; i < 3; ++i) {
    i == 1 ? gated_attention(header, i) : delta_net(header, i);
    header.layer_tensor(i, "ffn_gate.weight", {16, 32});
    header.layer_tensor(i, "ffn_up.weight", {16, 32});
    header.layer_tensor(i, "ffn_down.weight", {32, 16});
  }
  header.norms({"attn_norm", "post_attention_norm"});
  return header;
}

TEST(Recurrent, LayersAreWhatTheirTensorsMake) {
  const Graph graph = qwen35(delta_keys).build();
  EXPECT_EQ(count<graph::DeltaRule>(graph), 2u);
  EXPECT_EQ(count<graph::Attention>(graph), 1u);
  EXPECT_TRUE(graph.recurrent());
}

TEST(Recurrent, LayersThatDraftTokensAreLeftOut) {
  Keys keys = delta_keys;
  keys["nextn_predict_layers"] = 1;
  const Graph graph = qwen35(keys).build();
  EXPECT_EQ(count<graph::DeltaRule>(graph), 1u);
  EXPECT_FALSE(has_weight(graph, "blk.2.attn_norm.weight"));
  keys["nextn_predict_layers"] = 77;
  EXPECT_NE(error_of(qwen35(keys)).find("nextn_predict_layers"), std::string::npos);
}

TEST(Recurrent, SizesThatDoNotFitAreErrors) {
  const std::tuple<const char*, u32, const char*> changes[] = {
      {"ssm.conv_kernel", 257, "ssm.conv_kernel"}, {"ssm.state_size", 1 << 24, "ssm.*"},
      {"ssm.group_count", 1 << 24, "ssm.*"},       {"ssm.group_count", 3, "multiples"},
      {"ssm.time_step_rank", 5, "multiples"},      {"ssm.time_step_rank", 1 << 24, "ssm.*"},
      {"ssm.inner_size", 1 << 24, "ssm.*"},        {"ssm.inner_size", 30, "multiples"},
      {"ssm.state_size", 7, "has shape"},
  };
  for (const auto& [key, value, part] : changes) {
    Keys keys = delta_keys;
    keys[key] = value;
    EXPECT_NE(error_of(qwen35(keys)).find(part), std::string::npos) << key << " " << value;
  }
  // A state of 2⁴⁰ floats, though each size is in range.
  Keys keys = delta_keys;
  keys["ssm.state_size"] = keys["ssm.inner_size"] = 1 << 20;
  keys["ssm.group_count"] = 1;
  EXPECT_NE(error_of(qwen35(keys)).find("ssm.*"), std::string::npos);
}

TEST(Recurrent, FalconMambaNormalizesWhatItsStepsAreMadeOf) {
  for (const bool normed : {false, true}) {
    Header header("mamba");
    header.key("ssm.conv_kernel", 4);
    header.key("ssm.state_size", 8);
    header.key("ssm.time_step_rank", 2);
    header.key("ssm.inner_size", 32);
    header.writer.add_bool("mamba.ssm.dt_b_c_rms", normed);
    header.layer_tensor(0, "ssm_in.weight", {16, 64});
    header.layer_tensor(0, "ssm_conv1d.weight", {4, 32});
    header.layer_tensor(0, "ssm_x.weight", {32, 18});
    header.layer_tensor(0, "ssm_dt.weight", {2, 32});
    header.layer_tensor(0, "ssm_dt.bias", {32});
    header.layer_tensor(0, "ssm_a", {8, 32});
    header.layer_tensor(0, "ssm_d", {32});
    header.layer_tensor(0, "ssm_out.weight", {32, 16});
    header.norms({"attn_norm"});
    EXPECT_EQ(count<graph::Norm>(header.build()), normed ? 5u : 2u);
  }
}

// One layer with positions for `positions` tokens.
Header bert(u32 positions, Pooling pooling) {
  Header header("bert", {.kv_heads = 2});
  header.matrices(false);
  header.key("context_length", 64);
  header.key("pooling_type", u32(pooling));
  header.tensor("token_types.weight", {16, 2});
  header.tensor("position_embd.weight", {16, positions});
  header.tensor("token_embd_norm.weight", {16});
  header.norms({"attn_output_norm", "layer_output_norm"});
  return header;
}

TEST(Encoders, KnowAsManyPositionsAsTheyHaveEmbeddingsFor) {
  const Graph graph = bert(64, Pooling::mean).build();
  EXPECT_FALSE(graph.causal());
  EXPECT_EQ(graph.positions(), 64u);
  EXPECT_EQ(graph.hidden, graph.output);
  EXPECT_EQ(graph.pooling, Pooling::mean);
  EXPECT_EQ(count<graph::Rope>(graph), 0u);
  EXPECT_NE(error_of(bert(63, Pooling::mean)).find("position_embd.weight"), std::string::npos);
  EXPECT_NE(error_of(bert(64, Pooling(5))).find("pooling_type"), std::string::npos);
}

TEST(Encoders, RotateOrKnowPositionsByArchitecture) {
  Header plain("bert", {.kv_heads = 2});
  plain.matrices(true);
  plain.tensor("token_embd_norm.weight", {16});
  plain.norms({"attn_output_norm", "layer_output_norm"});
  EXPECT_NE(error_of(plain).find("position_embd.weight"), std::string::npos);
  Header nomic("nomic-bert", {.kv_heads = 2});
  nomic.matrices(true);
  nomic.tensor("token_embd_norm.weight", {16});
  nomic.norms({"attn_output_norm", "layer_output_norm"});
  EXPECT_EQ(count<graph::Rope>(nomic.build()), 2u);
}

TEST(Encoders, RerankersEndInScores) {
  Header single = bert(64, Pooling::rank);
  single.tensor("cls.output.weight", {16, 3});
  EXPECT_EQ(single.build().values[u32(single.build().output)].width, 3u);
  Header both = bert(64, Pooling::rank);
  both.tensor("cls.weight", {16, 16});
  both.tensor("cls.output.weight", {16, 1});
  const Graph graph = both.build();
  EXPECT_EQ(graph[graph.output].width, 1u);
  EXPECT_EQ(count<graph::MatMul>(graph), count<graph::MatMul>(single.build()) + 1);
  EXPECT_NE(error_of(bert(64, Pooling::rank)).find("cls.output.weight"), std::string::npos);
  // Of other encoders it is not known what they end in.
  EXPECT_NE(error_of([] {
              Header header("modern-bert");
              header.key("pooling_type", u32(Pooling::rank));
              return header;
            }())
                .find("rerankers"),
            std::string::npos);
}

TEST(Encoders, WithoutLogitsADecoderHasNoWeightsOfThem) {
  Header header("llama");
  header.matrices(true);
  header.norms({"attn_norm", "ffn_norm"});
  header.tensor("output.weight", {16, 8});
  const Graph whole = header.build();
  const Graph graph = graph::without_logits(whole);
  EXPECT_EQ(graph.output, whole.hidden);
  EXPECT_EQ(graph.ops.size() + 1, whole.ops.size());
  EXPECT_TRUE(has_weight(whole, "output.weight"));
  EXPECT_FALSE(has_weight(graph, "output.weight"));
  EXPECT_EQ(graph.weights.size() + 1, whole.weights.size());
}

}  // namespace
}  // namespace pronk::models
