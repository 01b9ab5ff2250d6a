// Products and look-ups with additive weights (formats/additive.h) against the CPU's in double precision.
#include "formats/additive.h"
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

  static engine::OpCase product(const Kind& kind, MatMulKernel kernel, u32 tokens) {
    const formats::Format* format = formats::find_additive(kind.code_type, kind.books, kind.group);
    const MatMulSpec spec{.kernel = kernel,
                          .kind = {format, true, true, graph::Epilogue::add},
                          .rows = 37,
                          .cols = 320,
                          .tokens = tokens,
                          .padding = 3};
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

// The cases tell a kernel that takes a wrong book, or no scale, from a right one.
TEST_F(AdditiveOp, AWrongLookUpIsFound) {
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"b * book_units", "(b ^ 1u) * book_units"},
                                 {"unit / params.row_units]", "0u]"}}) {
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
