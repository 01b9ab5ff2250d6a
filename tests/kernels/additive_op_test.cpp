// Products and look-ups with additive weights (formats/additive.h) against the CPU's in double precision.
#include <optional>

#include "formats/additive.h"
#include "kernels/candidates.h"
#include "kernels/kernels.h"
#include "support/op_case_runner.h"

namespace pronk::test {
namespace {

using engine::MatMulSpec;
using kernels::MatMulKernel;

class AdditiveOp : public OpCaseTest {
 protected:
  struct Kind {
    u32 code_type, books, group;
  };
  static constexpr Kind kinds[] = {{24, 1, 8}, {24, 2, 8}, {24, 8, 16}, {25, 1, 8}, {25, 2, 32}};

  static engine::OpCase product(const Kind& kind, MatMulKernel kernel, u32 tokens, u32 cols = 320,
                                std::optional<u32> candidate = {}) {
    const formats::Format* format = formats::find_additive(kind.code_type, kind.books, kind.group);
    const MatMulSpec spec{.kernel = kernel,
                          .kind = {format, true, true, graph::Epilogue::add},
                          .rows = 37,
                          .cols = cols,
                          .tokens = tokens,
                          .padding = 3,
                          .candidate = candidate};
    return engine::matmul_case(spec, runner().device().limits(), runner().device().features(), 1);
  }
};

TEST_F(AdditiveOp, MakesTheSumsOfItsVectors) {
  for (const Kind& kind : kinds) {
    check(product(kind, MatMulKernel::matvec, 1));
    check(product(kind, MatMulKernel::batch, 5));
    check(product(kind, MatMulKernel::gemm, 40));
    check(engine::embed_case(*formats::find_additive(kind.code_type, kind.books, kind.group), 9, 96, 1));
  }
}

// By floats and by halves; with the scale of a row, which some tiles leave to the kernel.
TEST_F(AdditiveOp, EveryTileOfAGemm) {
  const gpu::Device& device = runner().device();
  for (u32 i = 0; i < kernels::candidate_count(kernels::TunedKernel::gemm); ++i) {
    const formats::Format& format = *formats::find_additive(24, 2, 8);
    if (!kernels::runs(kernels::TunedKernel::gemm, i, device.limits(),
                       kernels::features_for(format, device.features())))
      continue;
    for (const u32 cols : {320u, 328u}) check(product({24, 2, 8}, MatMulKernel::gemm, 40, cols, i));
  }
}

// Of rows with an odd number of codes every second one starts inside a word.
TEST_F(AdditiveOp, RowsStartInsideAWord) {
  for (const Kind& kind : {Kind{24, 1, 8}, Kind{24, 2, 8}, Kind{25, 1, 8}}) {
    check(product(kind, MatMulKernel::matvec, 1, 328));
    check(product(kind, MatMulKernel::batch, 3, 328));
    check(product(kind, MatMulKernel::gemm, 40, 328));
  }
}

// The default tile has room for 2×8, so that its books do not come from a buffer each time; others go on without.
TEST(AdditiveBooks, AreKeptWhereThereIsRoom) {
  const auto kept = [](u32 code_type, u32 books, u32 group, u32 candidate, u32 tokens) {
    return kernels::keeps_books(*formats::find_additive(code_type, books, group),
                                kernels::matvec_tiles(tokens > 1)[candidate], tokens);
  };
  for (const u32 candidate : {kernels::default_candidate(kernels::TunedKernel::matvec, {}), 0u}) {
    EXPECT_TRUE(kept(24, 2, 8, candidate, 1));
    EXPECT_TRUE(kept(24, 1, 16, candidate, 1));
    EXPECT_FALSE(kept(24, 2, 16, candidate, 1));
    EXPECT_FALSE(kept(25, 1, 8, candidate, 1));
  }
  EXPECT_FALSE(kept(24, 2, 8, 0, kernels::batch_tokens));
}

// The cases tell a kernel that takes a wrong book, or no scale, from a right one.
TEST_F(AdditiveOp, AWrongLookUpIsFound) {
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"b * book_units() + (i", "(b ^ 1u) * book_units() + (i"},
        {"params.plane2 + row]", "params.plane2]"}}) {
    engine::OpCase c = product(kinds[1], MatMulKernel::matvec, 1);
    std::string& wgsl = c.steps[0].kernel.wgsl;
    const std::size_t at = wgsl.find(from);
    ASSERT_NE(at, std::string::npos);
    wgsl.replace(at, from.size(), to);
    c.steps[0].kernel.label += " wrong";
    ASSERT_TRUE(runner().run(c.memory, {{c.steps[0].kernel, c.steps[0].memory, c.steps[0].grid}}));
    EXPECT_GT(engine::check_answers(c, c.memory).error, c.tolerance) << from;
  }
}

}  // namespace
}  // namespace pronk::test
