// What check_answers lets pass and what it does not.
#include "engine/op_case.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/bytes.h"

namespace pronk::engine {
namespace {

void put(std::vector<u8>& memory, u64 i, double value) {
  const float number = float(value);
  std::memcpy(&memory[4 * i], &number, sizeof number);
}

// The case's memory with the answers in it, as a device that computes right would leave it.
std::vector<std::vector<u8>> right_memory(const OpCase& c) {
  auto memory = c.memory;
  for (const OpAnswer& answer : c.answers) {
    for (u64 i = 0; i < answer.values.size(); ++i) put(memory[answer.memory], i, answer.values[i]);
  }
  return memory;
}

// With a cache of 4 bits and more than ten thousand numbers a wrong one is lost in the norm of all.
TEST(OpCase, OneWrongNumberAmongManyFails) {
  const OpCase c = attention_case({.heads = {.query = 32, .kv = 2, .key = 64, .value = 64},
                                   .kv = graph::KvType::q4,
                                   .scale = 0.03f,
                                   .rotated = 64,
                                   .tokens = 40,
                                   .prefill_tile = {64, 16, 1}},
                                  1);
  auto memory = right_memory(c);
  EXPECT_LE(check_answers(c, memory).error, 1e-6);
  const OpAnswer& answer = c.answers[0];
  double size = 0;
  u64 count = 0, near = 0;
  for (u64 i = 0; i < answer.values.size(); ++i) {
    if (answer.match[i] != OpAnswer::Match::near) continue;
    size += answer.values[i] * answer.values[i], ++count, near = i;
  }
  ASSERT_GT(count, 20000u);
  const double mean = std::sqrt(size / double(count));
  EXPECT_LT(1 / std::sqrt(double(count)), c.tolerance);  // what the norm alone says of an error of `mean`
  put(memory[answer.memory], near, answer.values[near] + mean);
  EXPECT_GT(check_answers(c, memory).error, c.tolerance);
  put(memory[answer.memory], near, answer.values[near] + 4 * c.tolerance * mean);
  EXPECT_LE(check_answers(c, memory).error, c.tolerance);
  put(memory[answer.memory], near, std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(std::isinf(check_answers(c, memory).error));
}

TEST(OpCase, AByteWrittenOutsideFails) {
  const OpCase c = matmul_case({.kind = {&formats::table().front()}, .rows = 5, .cols = 16}, {}, {}, 1);
  auto memory = right_memory(c);
  EXPECT_LE(check_answers(c, memory).error, 1e-6);
  const OpAnswer& answer = c.answers[0];
  ASSERT_EQ(answer.match[0], OpAnswer::Match::same);
  put(memory[answer.memory], 0, std::nextafter(float(answer.values[0]), 100.0f));
  EXPECT_TRUE(std::isinf(check_answers(c, memory).error));
}

}  // namespace
}  // namespace pronk::engine
