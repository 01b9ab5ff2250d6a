// Tensors of a folder that are put together, by the bytes that come of them, and a model of experts from its folder to
// logits.
#include "sources/assemble.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "commands.h"
#include "convert/plan.h"
#include "files/gguf_writer.h"
#include "files/safetensors.h"
#include "logits.h"
#include "sources/huggingface.h"
#include "support/folder_model.h"
#include "support/http_server.h"

namespace pronk {
namespace {

using files::TensorInfo;
using sources::NamedTensor;
using test::FolderTensor;

constexpr u32 f16_type = 1, f32_type = 0, mxfp4_type = 39;

// A file of bytes 0, 1, 2, … whose tensors are described one behind the other.
class Assemble : public testing::Test {
 protected:
  NamedTensor tensor(std::string name, u32 type, u32 bytes_each, std::vector<u64> shape) {
    NamedTensor named{.tensor = {.name = name, .type = type, .dims = u32(shape.size())}, .theirs = "their." + name};
    std::copy(shape.begin(), shape.end(), named.tensor.shape.begin());
    named.tensor.offset = file_.size();
    named.tensor.bytes = named.tensor.weights() * bytes_each;
    for (u64 i = 0; i < named.tensor.bytes; ++i) file_.push_back(u8(file_.size() * 7 + file_.size() / 256));
    return named;
  }
  NamedTensor expert(u32 number, std::vector<u64> shape, u32 type = f16_type) {
    NamedTensor named = tensor("blk.0.ffn_up_exps.weight", type, type == f32_type ? 4 : 2, std::move(shape));
    named.number = number;
    return named;
  }

  Result<std::vector<TensorInfo>> assemble(std::vector<NamedTensor> tensors, std::string_view made) {
    files::GgufWriter writer;
    for (const auto& [key, number] : numbers_) writer.add_u32("a." + key, number);
    const std::vector<u8> header = writer.header();
    PRONK_TRY(const files::GgufPrefix parsed, files::parse_gguf(header, header.size()));
    const sources::Family family{.architecture = "a", .made = made};
    return sources::assemble(std::move(tensors), family, parsed.gguf->metadata);
  }
  std::string error(std::vector<NamedTensor> tensors, std::string_view made) {
    const auto result = assemble(std::move(tensors), made);
    return result ? "" : result.error().message;
  }

  std::vector<u8> made(const TensorInfo& tensor) const {
    std::vector<u8> out;
    for (const convert::Part& part : convert::parts_of(tensor)) {
      const u8* inputs[2] = {};
      for (u32 i = 0; i < part.inputs.size(); ++i) inputs[i] = file_.data() + part.inputs[i].offset;
      std::vector<u8> bytes(inputs[0], inputs[0] + part.inputs[0].bytes);
      if (!part.making.copies())
        bytes = convert::make(part.making, part.inputs[0].bytes / convert::unit_of(part.making)->of_inputs[0], inputs);
      EXPECT_EQ(bytes.size(), part.bytes());
      out.insert(out.end(), bytes.begin(), bytes.end());
    }
    return out;
  }
  // Rows of a tensor by their numbers.
  std::vector<u8> rows(const NamedTensor& from, const std::vector<u64>& numbers) const {
    std::vector<u8> out;
    const u64 row = from.tensor.bytes / (from.tensor.dims == 1 ? from.tensor.shape[0] : from.tensor.rows());
    for (const u64 number : numbers) {
      const auto at = file_.begin() + std::ptrdiff_t(from.tensor.offset + number * row);
      out.insert(out.end(), at, at + std::ptrdiff_t(row));
    }
    return out;
  }

  std::vector<u8> file_;
  std::map<std::string, u32> numbers_;
};

using Shape = std::array<u64, 4>;

TEST_F(Assemble, StacksExpertsByTheirNumbers) {
  numbers_["expert_count"] = 3;
  const std::vector<NamedTensor> experts{expert(2, {4, 2}), expert(0, {4, 2}), expert(1, {4, 2})};
  const auto result = assemble(experts, "ffn_up_exps.weight stacked");
  ASSERT_TRUE(result.has_value()) << result.error().message;
  ASSERT_EQ(result->size(), 1u);
  EXPECT_EQ((*result)[0].shape, (Shape{4, 2, 3, 1}));
  std::vector<u8> wanted;
  for (const u32 i : {1, 2, 0}) {
    const std::vector<u8> one = rows(experts[i], {0, 1});
    wanted.insert(wanted.end(), one.begin(), one.end());
  }
  EXPECT_EQ(made((*result)[0]), wanted);
}

TEST_F(Assemble, RefusesExpertsThatDoNotMakeATensor) {
  numbers_["expert_count"] = 2;
  constexpr std::string_view rule = "ffn_up_exps.weight stacked";
  EXPECT_EQ(error({expert(0, {4, 2})}, rule), "expert 1 of 'blk.0.ffn_up_exps.weight' is missing");
  EXPECT_EQ(error({expert(1, {4, 2})}, rule), "expert 0 of 'blk.0.ffn_up_exps.weight' is missing");
  EXPECT_EQ(error({expert(0, {4, 2}), expert(0, {4, 2}), expert(1, {4, 2})}, rule),
            "tensor 'their.blk.0.ffn_up_exps.weight' is there twice");
  EXPECT_EQ(error({expert(0, {4, 2}), expert(1, {4, 2}), expert(2, {4, 2})}, rule),
            "tensor 'their.blk.0.ffn_up_exps.weight' is of one expert more than the 2 that there are");
  const std::string differs = "tensor 'their.blk.0.ffn_up_exps.weight' differs from that of expert 0 in type or shape";
  EXPECT_EQ(error({expert(0, {4, 2}), expert(1, {2, 4})}, rule), differs);
  EXPECT_EQ(error({expert(0, {4, 2}), expert(1, {4, 2}, f32_type)}, rule), differs);
  EXPECT_EQ(error({expert(0, {4}), expert(1, {4})}, rule), "tensor 'their.blk.0.ffn_up_exps.weight' is no matrix");
  EXPECT_EQ(error({expert(0, {4, 2})}, ""), "tensor 'their.blk.0.ffn_up_exps.weight' is of one expert: not supported");
}

TEST_F(Assemble, StacksNormsOfHeads) {
  numbers_ = {{"attention.head_count", 2}, {"attention.head_count_kv", 1}};
  const auto norm = [&](const char* name, u32 number) {
    NamedTensor named = tensor(name, f32_type, 4, {3});
    named.number = number;
    return named;
  };
  constexpr std::string_view rules = "attn_q_norm.weight heads attn_k_norm.weight heads";
  const char *q = "blk.0.attn_q_norm.weight", *k = "blk.0.attn_k_norm.weight";
  const std::vector<NamedTensor> all{norm(q, 1), norm(q, 0), norm(k, 0)};
  const auto result = assemble(all, rules);
  ASSERT_TRUE(result.has_value() && result->size() == 2) << result.error().message;
  EXPECT_EQ((*result)[0].shape, (Shape{3, 2, 1, 1}));
  EXPECT_EQ((*result)[1].shape, (Shape{3, 1, 1, 1}));
  std::vector<u8> wanted = rows(all[1], {0, 1, 2});
  const std::vector<u8> second = rows(all[0], {0, 1, 2});
  wanted.insert(wanted.end(), second.begin(), second.end());
  EXPECT_EQ(made((*result)[0]), wanted);
  EXPECT_EQ(error({norm(q, 0)}, rules), "head 1 of 'blk.0.attn_q_norm.weight' is missing");
  EXPECT_EQ(error({norm(k, 1)}, rules),
            "tensor 'their.blk.0.attn_k_norm.weight' is of one head more than the 1 that there are");
}

TEST_F(Assemble, StacksMatricesOfStreams) {
  numbers_["altup.num_inputs"] = 3;
  NamedTensor first = tensor("altup_proj.weight", f16_type, 2, {4, 2});
  NamedTensor second = tensor("altup_proj.weight", f16_type, 2, {4, 2});
  first.number = 0, second.number = 1;
  const auto result = assemble({second, first}, "altup_proj.weight streams");
  ASSERT_TRUE(result.has_value() && result->size() == 1);
  EXPECT_EQ((*result)[0].shape, (Shape{4, 2, 2, 1}));
  std::vector<u8> wanted = rows(first, {0, 1});
  const std::vector<u8> other = rows(second, {0, 1});
  wanted.insert(wanted.end(), other.begin(), other.end());
  EXPECT_EQ(made((*result)[0]), wanted);
  EXPECT_EQ(error({first}, "altup_proj.weight streams"), "stream 1 of 'altup_proj.weight' is missing");
}

TEST_F(Assemble, PadsRowsToTheVocabulary) {
  const NamedTensor table = tensor("per_layer_token_embd.weight", f16_type, 2, {4, 3});
  const auto padded = [&](u32 vocab) {
    numbers_["vocab_size"] = vocab;
    return assemble({table}, "per_layer_token_embd.weight padded");
  };
  const auto more = padded(5);
  ASSERT_TRUE(more.has_value() && more->size() == 1);
  EXPECT_EQ((*more)[0].shape, (Shape{4, 5, 1, 1}));
  EXPECT_EQ((*more)[0].bytes, 40u);
  EXPECT_EQ(made((*more)[0]), rows(table, {0, 1, 2, 0, 0}));
  EXPECT_EQ((*padded(3))[0].parts.size(), 0u);
  EXPECT_EQ(padded(100'000).error().message, "tensor 'their.per_layer_token_embd.weight' has too few rows");
}

TEST_F(Assemble, HalvesRowsOfEachExpert) {
  const NamedTensor both = tensor("blk.3.ffn_gate_up_exps.weight", f16_type, 2, {4, 6, 2});
  const auto result = assemble({both}, "ffn_gate_up_exps.weight halves");
  ASSERT_TRUE(result.has_value() && result->size() == 2);
  EXPECT_EQ((*result)[0].name, "blk.3.ffn_gate_exps.weight");
  EXPECT_EQ((*result)[1].name, "blk.3.ffn_up_exps.weight");
  EXPECT_EQ((*result)[0].shape, (Shape{4, 3, 2, 1}));
  EXPECT_EQ(made((*result)[0]), rows(both, {0, 1, 2, 6, 7, 8}));
  EXPECT_EQ(made((*result)[1]), rows(both, {3, 4, 5, 9, 10, 11}));
  EXPECT_NE(error({tensor("blk.3.ffn_gate_up_exps.weight", f16_type, 2, {4, 5, 2})}, "ffn_gate_up_exps.weight halves"),
            "");
  EXPECT_EQ(
      error({tensor("blk.3.ffn_gate_up_exps.weight", f16_type, 0, {4, 2, 65537})}, "ffn_gate_up_exps.weight halves"),
      "tensor 'their.blk.3.ffn_gate_up_exps.weight' has too many experts");
  EXPECT_EQ(
      error({tensor("blk.3.ffn_gate_up_exps.weight", f16_type, 2, {4, 6, 2, 2})}, "ffn_gate_up_exps.weight halves"),
      "tensor 'their.blk.3.ffn_gate_up_exps.weight' has an odd number of rows, or is no matrix");
}

TEST_F(Assemble, PutsRowsOfHeadsInOrder) {
  numbers_ = {{"attention.head_count", 4}, {"attention.head_count_kv", 2}, {"attention.key_length", 1}};
  const NamedTensor qkv = tensor("blk.0.attn_qkv.weight", f16_type, 2, {4, 8});
  const auto grouped = assemble({qkv}, "attn_qkv.weight grouped");
  ASSERT_TRUE(grouped.has_value() && grouped->size() == 1);
  EXPECT_EQ(made((*grouped)[0]), rows(qkv, {0, 1, 4, 5, 2, 6, 3, 7}));
  const auto split = assemble({qkv}, "attn_qkv.weight split");
  ASSERT_TRUE(split.has_value() && split->size() == 3);
  EXPECT_EQ((*split)[1].name, "blk.0.attn_k.weight");
  EXPECT_EQ((*split)[0].shape, (Shape{4, 4, 1, 1}));
  EXPECT_EQ(made((*split)[0]), rows(qkv, {0, 1, 4, 5}));
  EXPECT_EQ(made((*split)[1]), rows(qkv, {2, 6}));
  EXPECT_EQ(made((*split)[2]), rows(qkv, {3, 7}));
  const NamedTensor bias = tensor("blk.0.attn_qkv.bias", f32_type, 4, {8});
  const auto biases = assemble({bias}, "attn_qkv.bias grouped");
  ASSERT_TRUE(biases.has_value() && biases->size() == 1);
  EXPECT_EQ((*biases)[0].shape, (Shape{8, 1, 1, 1}));
  EXPECT_EQ(made((*biases)[0]), rows(bias, {0, 1, 4, 5, 2, 6, 3, 7}));
  const NamedTensor wrong = tensor("blk.0.attn_qkv.weight", f16_type, 2, {4, 7});
  EXPECT_EQ(error({wrong}, "attn_qkv.weight grouped"),
            "tensor 'their.blk.0.attn_qkv.weight' does not fit the numbers of heads");
  numbers_["attention.head_count_kv"] = 3;
  EXPECT_NE(error({qkv}, "attn_qkv.weight grouped"), "");
}

// Each of them is a part.
TEST_F(Assemble, RefusesMoreHeadsThanAnyModelHas) {
  constexpr u32 most = 1 << 16;
  const auto split = [&](u32 heads) {
    numbers_ = {{"attention.head_count", heads}, {"attention.head_count_kv", heads}, {"attention.key_length", 1}};
    return error({tensor("blk.0.attn_qkv.weight", f16_type, 2, {1, 3ull * heads})}, "attn_qkv.weight split");
  };
  EXPECT_EQ(split(most), "");
  EXPECT_EQ(split(most + 1), "'attention.head_count' is out of range");
  const auto latent = [&](u32 heads) {
    numbers_ = {{"attention.head_count", heads},
                {"attention.key_length_mla", 2},
                {"rope.dimension_count", 1},
                {"attention.value_length_mla", 1}};
    return error({tensor("blk.0.attn_kv_b.weight", f16_type, 2, {1, 2ull * heads})}, "attn_kv_b.weight latent");
  };
  EXPECT_EQ(latent(most), "");
  EXPECT_EQ(latent(most + 1), "'attention.head_count' is out of range");
  const auto qkvz = [&](u32 groups) {
    numbers_ = {{"ssm.group_count", groups}, {"ssm.state_size", 1}, {"ssm.inner_size", groups}};
    return error({tensor("blk.0.attn_qkvz.weight", f16_type, 2, {1, 4ull * groups})}, "attn_qkvz.weight qkvz");
  };
  EXPECT_EQ(qkvz(most), "");
  EXPECT_EQ(qkvz(most + 1), "'ssm.group_count' is out of range");
}

TEST_F(Assemble, SplitsWhatTheLatentBecomes) {
  numbers_ = {{"attention.head_count", 2},
              {"attention.key_length_mla", 5},
              {"rope.dimension_count", 3},
              {"attention.value_length_mla", 1}};
  const NamedTensor both = tensor("blk.0.attn_kv_b.weight", f16_type, 2, {3, 6});
  const auto result = assemble({both}, "attn_kv_b.weight latent");
  ASSERT_TRUE(result.has_value() && result->size() == 2);
  EXPECT_EQ((*result)[0].shape, (Shape{2, 3, 2, 1}));
  EXPECT_EQ((*result)[1].shape, (Shape{3, 1, 2, 1}));
  std::vector<u8> keys;
  for (const u64 head : {0, 1}) {
    for (u64 column = 0; column < 3; ++column) {
      for (const u64 row : {head * 3, head * 3 + 1}) {
        const std::vector<u8> whole = rows(both, {row});
        keys.insert(keys.end(), whole.begin() + std::ptrdiff_t(2 * column),
                    whole.begin() + std::ptrdiff_t(2 * column + 2));
      }
    }
  }
  EXPECT_EQ(made((*result)[0]), keys);
  EXPECT_EQ(made((*result)[1]), rows(both, {2, 5}));
  numbers_["attention.value_length_mla"] = 2;
  EXPECT_NE(error({both}, "attn_kv_b.weight latent"), "");
}

TEST_F(Assemble, TakesQKVAndZApart) {
  numbers_ = {{"ssm.group_count", 2}, {"ssm.state_size", 1}, {"ssm.inner_size", 4}};
  const NamedTensor all = tensor("blk.0.attn_qkvz.weight", f16_type, 2, {4, 12});  // a group: q k v v z z
  const auto result = assemble({all}, "attn_qkvz.weight qkvz");
  ASSERT_TRUE(result.has_value() && result->size() == 2);
  EXPECT_EQ(made((*result)[0]), rows(all, {0, 6, 1, 7, 2, 3, 8, 9}));
  EXPECT_EQ((*result)[1].name, "blk.0.attn_gate.weight");
  EXPECT_EQ(made((*result)[1]), rows(all, {4, 5, 10, 11}));
}

TEST_F(Assemble, TransposesMatricesOfEachWidth) {
  for (const auto& [type, bytes] : {std::pair(f32_type, 4u), std::pair(f16_type, 2u)}) {
    const NamedTensor stored = tensor("blk.0.ffn_up.weight", type, bytes, {70, 65});
    const auto result = assemble({stored}, "ffn_up.weight transposed");
    ASSERT_TRUE(result.has_value() && result->size() == 1);
    EXPECT_EQ((*result)[0].shape, (Shape{65, 70, 1, 1}));
    const std::vector<u8> out = made((*result)[0]);
    for (u64 row = 0; row < 70; ++row) {
      for (u64 column = 0; column < 65; ++column) {
        ASSERT_EQ(std::memcmp(out.data() + (row * 65 + column) * bytes,
                              file_.data() + stored.tensor.offset + (column * 70 + row) * bytes, bytes),
                  0);
      }
    }
  }
}

TEST_F(Assemble, TransposesMatricesOfExpertsByTurns) {
  const NamedTensor stored = tensor("blk.0.ffn_gate_up_exps.weight", f16_type, 2, {6, 4, 2});
  const auto result = assemble({stored}, "ffn_gate_up_exps.weight transposed_by_turns");
  ASSERT_TRUE(result.has_value() && result->size() == 2);
  for (const u64 odd : {0, 1}) {
    const TensorInfo& tensor = (*result)[odd];
    EXPECT_EQ(tensor.name, odd ? "blk.0.ffn_up_exps.weight" : "blk.0.ffn_gate_exps.weight");
    EXPECT_EQ(tensor.shape, (Shape{4, 3, 2, 1}));
    std::vector<u8> wanted;
    for (const u64 expert : {0, 1}) {
      for (u64 column = odd; column < 6; column += 2) {
        for (u64 row = 0; row < 4; ++row) {
          const auto at = file_.begin() + std::ptrdiff_t(stored.tensor.offset + ((expert * 4 + row) * 6 + column) * 2);
          wanted.insert(wanted.end(), at, at + 2);
        }
      }
    }
    EXPECT_EQ(made(tensor), wanted);
  }
  EXPECT_EQ(error({tensor("blk.0.ffn_gate_up_exps.weight", f16_type, 2, {5, 4, 2})},
                  "ffn_gate_up_exps.weight transposed_by_turns"),
            "tensor 'their.blk.0.ffn_gate_up_exps.weight' has an odd number of columns");
  EXPECT_EQ(error({tensor("blk.0.ffn_down_exps.weight", f16_type, 2, {5, 4, 0})}, "ffn_down_exps.weight transposed"),
            "tensor 'their.blk.0.ffn_down_exps.weight' has no experts, or too many");
}

TEST_F(Assemble, TurnsMatricesOfExpertsByTheirInputs) {
  numbers_ = {{"embedding_length", 4}, {"expert_feed_forward_length", 3}};
  constexpr std::string_view rules = "ffn_gate_up_exps.weight by_inputs ffn_down_exps.weight by_inputs";
  for (const auto& [name, inputs, outputs] :
       {std::tuple("blk.0.ffn_gate_up_exps.weight", 4, 6), std::tuple("blk.0.ffn_down_exps.weight", 3, 4)}) {
    const NamedTensor right = tensor(name, f16_type, 2, {u64(inputs), u64(outputs), 2});
    const NamedTensor other = tensor(name, f16_type, 2, {u64(outputs), u64(inputs), 2});
    const auto as_is = assemble({right}, rules), turned = assemble({other}, rules);
    ASSERT_TRUE(as_is.has_value() && turned.has_value());
    EXPECT_TRUE((*as_is)[0].parts.empty());
    EXPECT_EQ((*turned)[0].shape, right.tensor.shape);
    EXPECT_EQ((*turned)[0].parts.size(), 2u);
  }
}

TEST_F(Assemble, MakesDecaysOfLogarithms) {
  NamedTensor logs = tensor("blk.0.ssm_a", f32_type, 4, {3});
  const float values[] = {0, 1, -2.5f};
  std::memcpy(file_.data() + logs.tensor.offset, values, sizeof values);
  const auto result = assemble({logs}, "ssm_a logs+column");
  ASSERT_TRUE(result.has_value() && result->size() == 1);
  EXPECT_EQ((*result)[0].shape, (Shape{1, 3, 1, 1}));
  float got[3] = {};
  const std::vector<u8> bytes = made((*result)[0]);
  ASSERT_EQ(bytes.size(), sizeof got);
  std::memcpy(got, bytes.data(), sizeof got);
  for (u32 i = 0; i < 3; ++i) EXPECT_FLOAT_EQ(got[i], -std::exp(values[i]));
}

TEST_F(Assemble, TernaryMatricesAreBytesOrFloats) {
  constexpr std::string_view rule = "attn_q.weight ternary";
  EXPECT_EQ(error({tensor("blk.0.attn_q.weight", f16_type, 2, {256, 4})}, rule), "");
  EXPECT_EQ(error({tensor("blk.0.attn_q.weight", files::no_ggml_type, 2, {256, 4})}, rule),
            "tensor 'their.blk.0.attn_q.weight' has a type or a shape that pronk does not run");
}

TEST_F(Assemble, TernaryMatricesAreWholeUnits) {
  const auto unit = [](u64 row, u64 rows) {
    return convert::unit_of(
        {.type = 35, .stored = files::Stored::quarters, .scales_apart = true, .row = row, .rows = rows});
  };
  ASSERT_TRUE(unit(132, 8));
  EXPECT_EQ(unit(132, 8)->bytes, 8u * 132u);
  EXPECT_EQ(unit(132, 8)->of_inputs, (std::array<u32, 2>{2 * 512, 2}));
  EXPECT_FALSE(unit(0, 8));
  EXPECT_FALSE(unit(132, 6));
  EXPECT_FALSE(unit(132, u64{1} << 26));
}

TEST_F(Assemble, TernaryMatricesAreOneOfCodesAndOneNumber) {
  constexpr u32 bf16_type = 30;
  constexpr std::string_view rules = "ffn_up.weight ternary ffn_up.weight_scale ternary";
  const NamedTensor codes = tensor("blk.0.ffn_up.weight", files::no_ggml_type, 1, {256, 2});
  const NamedTensor scale = tensor("blk.0.ffn_up.weight_scale", bf16_type, 2, {1});
  EXPECT_EQ(error({codes, scale}, rules), "");
  EXPECT_EQ(error({tensor("blk.0.ffn_up.weight", f16_type, 2, {256, 8})}, rules), "");  // floats
  const std::string apart = "'blk.0.ffn_up' has not one tensor of blocks and one of scales";
  EXPECT_EQ(error({codes}, rules), apart);
  EXPECT_EQ(error({scale}, rules), apart);
  EXPECT_EQ(error({codes, codes, scale}, rules), apart);
  const std::string wrong_scale = "tensor 'their.blk.0.ffn_up.weight_scale' is not one number of bf16";
  EXPECT_EQ(error({codes, tensor("blk.0.ffn_up.weight_scale", f16_type, 2, {1})}, rules), wrong_scale);
  EXPECT_EQ(error({codes, tensor("blk.0.ffn_up.weight_scale", bf16_type, 2, {2})}, rules), wrong_scale);
  const std::string wrong_rows = "tensor 'their.blk.0.ffn_up.weight' has rows that are no whole blocks: not supported";
  EXPECT_EQ(error({tensor("blk.0.ffn_up.weight", files::no_ggml_type, 1, {128, 2}), scale}, rules), wrong_rows);
  EXPECT_EQ(error({tensor("blk.0.ffn_up.weight", files::no_ggml_type, 1, {256, 0}), scale}, rules), wrong_rows);
}

// Codes and exponents of a row of 32 of an expert's matrix.
TEST_F(Assemble, MakesBlocksOfCodesAndExponents) {
  const NamedTensor codes = tensor("blk.0.ffn_gate_up_exps.blocks", files::no_ggml_type, 1, {16, 1, 4, 2});
  const NamedTensor scales = tensor("blk.0.ffn_gate_up_exps.scales", files::no_ggml_type, 1, {1, 4, 2});
  constexpr std::string_view rules = "ffn_gate_up_exps.blocks blocks ffn_gate_up_exps.scales blocks";
  const auto result = assemble({scales, codes}, rules);
  ASSERT_TRUE(result.has_value() && result->size() == 2) << result.error().message;
  for (const u64 odd : {0, 1}) {
    const TensorInfo& tensor = (*result)[odd];
    EXPECT_EQ(tensor.name, odd ? "blk.0.ffn_up_exps.weight" : "blk.0.ffn_gate_exps.weight");
    EXPECT_EQ(tensor.type, mxfp4_type);
    EXPECT_EQ(tensor.shape, (Shape{32, 2, 2, 1}));
    std::vector<u8> wanted;
    for (const u64 row : {odd, 2 + odd, 4 + odd, 6 + odd}) {
      const u8* const from = file_.data() + codes.tensor.offset + row * 16;
      const auto code = [&](u32 i) { return from[i / 2] >> i % 2 * 4 & 15; };
      wanted.push_back(file_[scales.tensor.offset + row]);
      for (u32 i = 0; i < 16; ++i) wanted.push_back(u8(code(i) | code(i + 16) << 4));
    }
    EXPECT_EQ(made(tensor), wanted);
  }
  EXPECT_EQ(error({codes}, rules), "'blk.0.ffn_gate_up_exps' has not one tensor of blocks and one of scales");
  const NamedTensor fewer = tensor("blk.0.ffn_gate_up_exps.scales", files::no_ggml_type, 1, {1, 3, 2});
  EXPECT_EQ(error({codes, fewer}, rules), "tensor 'their.blk.0.ffn_gate_up_exps.scales' does not fit its blocks");
  const NamedTensor no_codes = tensor("blk.0.ffn_gate_up_exps.blocks", files::no_ggml_type, 1, {16, 1, 4, 0});
  const NamedTensor no_scales = tensor("blk.0.ffn_gate_up_exps.scales", files::no_ggml_type, 1, {1, 4, 0});
  EXPECT_EQ(error({no_codes, no_scales}, rules),
            "tensor 'their.blk.0.ffn_gate_up_exps.blocks' has no experts, or too many");
}

TEST_F(Assemble, TakesGateAndUpByTurns) {
  const NamedTensor bias = tensor("blk.0.ffn_gate_up_exps.bias", f16_type, 2, {4, 2});
  const auto result = assemble({bias}, "ffn_gate_up_exps.bias interleaved");
  ASSERT_TRUE(result.has_value() && result->size() == 2);
  EXPECT_EQ((*result)[0].shape, (Shape{2, 2, 1, 1}));
  const auto numbers = [&](const std::vector<u64>& which) {
    std::vector<u8> out;
    for (const u64 i : which)
      out.insert(out.end(), {file_[bias.tensor.offset + 2 * i], file_[bias.tensor.offset + 2 * i + 1]});
    return out;
  };
  EXPECT_EQ(made((*result)[0]), numbers({0, 2, 4, 6}));
  EXPECT_EQ(made((*result)[1]), numbers({1, 3, 5, 7}));
}

TEST_F(Assemble, RefusesTypesThatPronkDoesNotRun) {
  const NamedTensor bytes = tensor("blk.0.ffn_up.weight", files::no_ggml_type, 1, {4, 4});
  EXPECT_EQ(error({bytes}, ""), "tensor 'their.blk.0.ffn_up.weight' has a type or a shape that pronk does not run");
}

// ---- A model

constexpr u64 width = 64, hidden = 32;

test::Folder expert_folder(u64 experts = 4) {
  std::mt19937 random(11);
  std::vector<FolderTensor> tensors;
  const auto add = [&](const std::string& name, std::vector<u64> shape, float middle = 0) {
    u64 count = 1;
    for (const u64 each : shape) count *= each;
    std::vector<float> values(count);
    const float most = middle != 0 ? 0.2f : 2 / std::sqrt(float(shape.back()));
    for (float& value : values) value = middle + most * (2 * float(random() >> 8) / float(1 << 24) - 1);
    FolderTensor tensor{name, "F32", std::move(shape), std::vector<u8>(count * sizeof(float))};
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    tensors.push_back(std::move(tensor));
  };
  add("model.embed_tokens.weight", {96, width});
  add("model.norm.weight", {width}, 1);
  add("lm_head.weight", {96, width});
  for (u32 layer = 0; layer < 2; ++layer) {
    const std::string stem = "model.layers." + std::to_string(layer) + ".";
    for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(stem + norm + ".weight", {width}, 1);
    for (const char* norm : {"q_norm", "k_norm"}) add(stem + "self_attn." + norm + ".weight", {16}, 1);
    for (const char* matrix : {"q", "k", "v", "o"}) add(stem + "self_attn." + matrix + "_proj.weight", {width, width});
    add(stem + "mlp.gate.weight", {experts, width});
    for (u64 i = 0; i < experts; ++i) {
      const std::string expert = stem + "mlp.experts." + std::to_string(i) + ".";
      add(expert + "gate_proj.weight", {hidden, width});
      add(expert + "up_proj.weight", {hidden, width});
      add(expert + "down_proj.weight", {width, hidden});
    }
  }
  const nlohmann::json config = {{"model_type", "qwen3_moe"},
                                 {"num_hidden_layers", 2},
                                 {"hidden_size", width},
                                 {"intermediate_size", 96},
                                 {"max_position_embeddings", 64},
                                 {"num_attention_heads", 4},
                                 {"num_key_value_heads", 4},
                                 {"head_dim", 16},
                                 {"vocab_size", 96},
                                 {"num_experts", experts},
                                 {"num_experts_per_tok", std::min<u64>(experts, 2)},
                                 {"moe_intermediate_size", hidden},
                                 {"norm_topk_prob", true},
                                 {"tie_word_embeddings", false}};
  test::Folder folder{.texts = {{"config.json", config.dump()}}, .weights = {}};
  test::add_shards(folder, tensors, 2);
  return folder;
}

TEST(AssembledFolder, GivesTheLogitsOfWhatConvertWrites) {
  std::string root = (std::filesystem::temp_directory_path() / "pronk-assembled-XXXXXX").string();
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  const std::string path = root + "/model/", out = root + "/out.gguf", eight = root + "/eight.gguf";
  std::filesystem::create_directory(path);
  const test::Folder folder = expert_folder();
  for (const auto& [name, text] : folder.texts) std::ofstream(path + name) << text;
  for (u32 i = 0; i < 2; ++i) {
    std::ofstream(path + "model-" + std::to_string(i + 1) + "-of-2.safetensors", std::ios::binary)
        .write(reinterpret_cast<const char*>(folder.weights[i].data()), std::streamsize(folder.weights[i].size()));
  }
  const auto convert = [&](const std::vector<const char*>& arguments) {
    const auto args = cli::parse_args(cli::convert_command, arguments);
    ASSERT_TRUE(args.has_value());
    const auto outcome = cli::convert_command.run(*args);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  };
  convert({path.c_str(), out.c_str()});
  convert({path.c_str(), eight.c_str(), "--type", "Q8_0"});
  const std::vector<u32> tokens = test::some_tokens(20, 5, 96);
  const auto whole = test::logits_of_path(path, "cpu", tokens, false);
  const auto converted = test::logits_of_path(out, "cpu", tokens, false);
  const auto coarse = test::logits_of_path(eight, "cpu", tokens, false);
  ASSERT_TRUE(whole && converted && coarse) << whole.error().message;
  EXPECT_EQ(*whole, *converted);
  EXPECT_GT(test::largest_difference(*whole, std::vector<float>(whole->size())), 0.1);
  EXPECT_LT(test::largest_difference(*whole, *coarse), 0.5);
  std::filesystem::remove_all(root);
}

// One for its header and one for the rest, where tensors are wanted in the order in which they lie.
TEST(AssembledFolder, AsksForEachFileTwice) {
  const test::Folder folder = expert_folder(1);
  test::HttpServer server;
  for (const auto& [name, text] : folder.texts) server.put("/m/" + name, {text.begin(), text.end()});
  for (u32 i = 0; i < 2; ++i) server.put("/m/model-" + std::to_string(i + 1) + "-of-2.safetensors", folder.weights[i]);
  const auto logits = test::logits_of_path(server.url("/m/"), "cpu", test::some_tokens(20, 5, 96), false);
  ASSERT_TRUE(logits.has_value()) << logits.error().message;
  const auto requests = server.take_requests();
  const auto of_weights = [](const auto& request) { return request.path.contains("/model-"); };
  EXPECT_EQ(std::ranges::count_if(requests, of_weights), 4);
}

TEST(AssembledFolder, IsRefusedWhereAllIsMapped) {
  const auto model = test::open_folder(expert_folder());
  ASSERT_FALSE(model.has_value());
  EXPECT_TRUE(model.error().message.ends_with("has to be put together by a converter")) << model.error().message;
}

}  // namespace
}  // namespace pronk
