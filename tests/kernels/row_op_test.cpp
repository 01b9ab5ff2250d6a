// Operations on rows: norms, functions, rotation, columns, routing, against the CPU's operations in double.
#include "support/op_case_runner.h"

namespace pronk::test {
namespace {

using graph::Function;

class RowOp : public OpCaseTest {};

TEST_F(RowOp, Norm) {
  u32 seed = 0;
  for (const auto kind : {graph::Norm::Kind::rms, graph::Norm::Kind::layer}) {
    for (const auto [width, group] : {std::pair{64u, 64u}, {300u, 300u}, {1028u, 1028u}, {96u, 12u}, {1280u, 128u}}) {
      for (u32 i = 0; i < 4; ++i) {
        const kernels::Norm norm{.kind = kind,
                                 .width = width,
                                 .group = group,
                                 .weight_width = i == 0   ? 0
                                                 : i == 1 ? group
                                                          : width,
                                 .bias_width = i == 2   ? group
                                               : i == 3 ? width
                                                        : 0,
                                 .eps = i % 2 ? 1e-5f : 0.3f,
                                 .scale = i == 2 ? 0.25f : 1,
                                 .add = i % 3 == 0};
        check(engine::norm_case(norm, 1 + seed % 5, seed));
        ++seed;
      }
    }
  }
}

// b is as wide as a, narrower, or one number; a value or a vector.
TEST_F(RowOp, EveryFunction) {
  u32 seed = 0, functions = 0;
  each_enumerator(Function{}, [&](const char*, Function function) {
    ++functions;
    std::array<float, 4> p{0.75f, 0.5f, 1.5f, -1e-6f};
    if (function == Function::clamp) p = {-0.8f, 1.7f};
    if (function == Function::soft_cap) p = {30};
    if (function == Function::clamped_gate) p = {1.702f, 7};
    for (const u32 b_width : {132u, 33u, 1u}) {
      const bool four = function == Function::learned_xielu;
      if ((!graph::takes_two(function) || four) && b_width != 132) continue;
      kernels::Map map{.function = function, .width = 132, .p = p};
      if (graph::takes_two(function)) map.b_width = four ? 4 : b_width;
      check(engine::map_case(map, four || seed % 2, 1 + seed % 4, seed));
      ++seed;
    }
  });
  EXPECT_EQ(functions, 21u);
  check(engine::map_case({.function = Function::soft_cap, .width = 132, .p = {2}}, false, 3, 1));  // far into the cap
}

// Small numbers keep their digits: what an approximation that is exact only in the sum would lose.
TEST_F(RowOp, FunctionsOfSmallNumbers) {
  for (const Function function : {Function::gelu, Function::gelu_tanh, Function::soft_cap, Function::xielu}) {
    engine::OpCase c = engine::map_case({.function = function, .width = 8, .p = {1, 1, 0.5f, -1e-6f}}, false, 1, 1);
    // A memory of numbers around 1e-3, whose functions are about linear: half, half, all and half of them.
    std::vector<float> x(8), y(8);
    for (u32 i = 0; i < 8; ++i) x[i] = (i % 2 ? -1e-3f : 1e-3f) * float(i + 1);
    auto& a = c.memory[c.steps[0].memory[2]];
    std::memcpy(a.data() + 8 * sizeof(float), x.data(), x.size() * sizeof(float));
    ASSERT_TRUE(runner().run(c.memory, {{c.steps[0].kernel, c.steps[0].memory, c.steps[0].grid}}));
    std::memcpy(y.data(), c.memory[c.steps[0].memory[4]].data() + 8 * sizeof(float), y.size() * sizeof(float));
    for (u32 i = 0; i < 8; ++i) {
      const double v = x[i];
      double expected = std::tanh(v);
      if (function == Function::gelu) expected = v / 2 * std::erfc(-v * std::sqrt(0.5));
      if (function == Function::gelu_tanh)
        expected = v / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v)));
      if (function == Function::xielu) expected = (v > 0 ? v * v : std::expm1(std::min(v, -1e-6)) - v) + 0.5 * v;
      EXPECT_NEAR(y[i], expected, 1e-6 * std::abs(expected)) << u32(function) << " of " << v;
    }
  }
}

TEST_F(RowOp, PositionScale) {
  for (const u32 position : {0u, 29u, 1000u})
    check(engine::position_scale_case({.width = 52, .scale = 0.1f, .interval = 32}, position, 7, position));
}

TEST_F(RowOp, Rope) {
  u32 seed = 0;
  for (const auto pairs : {graph::RopePairs::adjacent, graph::RopePairs::halves}) {
    for (const auto [head, first, rotated] :
         {std::array{64u, 0u, 64u}, {80u, 0u, 32u}, {96u, 64u, 32u}, {12u, 4u, 2u}}) {
      for (const u32 position : {0u, 60u, 131070u}) {
        const kernels::Rope rope{
            .pairs = pairs, .width = head * (1 + seed % 3), .head = head, .first = first, .rotated = rotated};
        check(engine::rope_case(rope, position, 1 + seed % 6, seed));
        ++seed;
      }
    }
  }
}

TEST_F(RowOp, Columns) {
  check(engine::take_columns_case({.groups = 3, .group = 24, .first = 0, .width = 24}, 2, 1));
  check(engine::take_columns_case({.groups = 5, .group = 21, .first = 7, .width = 3}, 4, 2));
  check(engine::take_columns_case({.groups = 1, .group = 100, .first = 99, .width = 1}, 1, 3));
  check(engine::join_columns_case({.groups = 1, .group_a = 5, .group_b = 6}, 3, 4));
  check(engine::join_columns_case({.groups = 16, .group_a = 128, .group_b = 64}, 2, 5));
  check(engine::join_columns_case({.groups = 7, .group_a = 3, .group_b = 8}, 1, 6));
}

TEST_F(RowOp, Route) {
  using Gating = graph::Route::Gating;
  u32 seed = 0;
  for (const Gating gating : {Gating::softmax, Gating::sigmoid, Gating::softmax_after}) {
    for (const auto [experts, used] : {std::pair{8u, 2u}, {5u, 5u}, {60u, 1u}, {256u, 8u}, {384u, 6u}}) {
      for (u32 i = 0; i < 4; ++i) {
        const kernels::Route route{.gating = gating,
                                   .experts = experts,
                                   .used = used,
                                   .bias = i == 1,
                                   .expert_scale = i == 2,
                                   .normalize = i >= 2 && gating != Gating::softmax_after,
                                   .scale = i == 3 ? 2.5f : 1};
        check(engine::route_case(route, 1 + seed % 4, seed));
        ++seed;
      }
    }
    check(engine::route_case({.gating = gating,
                              .experts = 64,
                              .used = 6,
                              .groups = 8,
                              .groups_used = 3,
                              .bias = true,
                              .normalize = gating == Gating::sigmoid,
                              .scale = 2.5f},
                             5, ++seed));
    check(engine::route_case(
        {.gating = gating, .experts = 64, .used = 6, .groups = 8, .groups_used = 3, .by_best = true}, 5, ++seed));
  }
  check(engine::route_case({.gating = Gating::softmax_after, .experts = 32, .used = 4, .groups = 8, .groups_used = 3},
                           2, 98));
  check(engine::route_case({.gating = Gating::sigmoid, .experts = 6, .used = 2, .groups = 6, .groups_used = 3}, 4, 99));
}

TEST_F(RowOp, WeightedSum) {
  check(engine::weighted_sum_case({.width = 100, .parts = 8}, 3, 1));
  check(engine::weighted_sum_case({.width = 2050, .parts = 1}, 2, 2));
}

TEST_F(RowOp, KeepLargest) {
  check(engine::keep_largest_case({.width = 1000, .deviations = 1.6448536f}, 4, 1));
  check(engine::keep_largest_case({.width = 36, .deviations = 0}, 2, 2));
}

class RecurrentOp : public OpCaseTest {};

TEST_F(RecurrentOp, Conv1d) {
  for (const u32 kernel : {2u, 3u, 4u}) {
    for (const u32 tokens : {1u, 2u, 9u})
      check(engine::conv1d_case({.width = 76 + kernel, .kernel = kernel, .bias = tokens == 2}, tokens, kernel));
  }
}

TEST_F(RecurrentOp, DeltaRule) {
  check(engine::delta_rule_case({.key_heads = 2, .value_heads = 4, .key = 128, .value = 128}, 5, 1));
  check(engine::delta_rule_case({.key_heads = 2, .value_heads = 6, .key = 20, .value = 12, .neighbours_share = true}, 1,
                                2));
  check(engine::delta_rule_case({.key_heads = 3, .value_heads = 3, .key = 7, .value = 33}, 40, 3));
}

TEST_F(RecurrentOp, Scan) {
  check(engine::scan_case({.heads = 100, .groups = 1, .width = 1, .state = 16, .a_of_state = true}, 7, 1));
  check(engine::scan_case({.heads = 6, .groups = 2, .width = 20, .state = 128}, 5, 2));
  check(engine::scan_case({.heads = 4, .groups = 4, .width = 13, .state = 10}, 1, 3));
}

}  // namespace
}  // namespace pronk::test
