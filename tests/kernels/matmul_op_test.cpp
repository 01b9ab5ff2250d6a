// Products with weights of every format: matvec, GEMM and embedding look-up against the CPU's operations in double.
#include "cpu/operations.h"
#include "support/op_case_runner.h"
#include "support/random_weights.h"

namespace pronk::test {
namespace {

using graph::Epilogue;
using graph::Function;

// A random matrix in the file's layout and in the GPU's.
struct TestMatrix {
  const formats::Format& format;
  u32 rows, cols;
  Bytes file, gpu;
  formats::GpuExtent extent;

  TestMatrix(const formats::Format& f, u32 r, u32 c, u32 seed)
      : format(f), rows(r), cols(c), extent(formats::gpu_extent(f, r, c)) {
    const float spread = 1 / std::sqrt(float(cols));
    const u64 row_blocks = cols / format.block_weights;
    const u64 padded_blocks = formats::gpu_row_weights(format, cols) / format.block_weights;
    file = random_blocks(format, random_floats(u64(rows) * cols, seed, spread), seed, 3 * spread);
    gpu.resize(extent.bytes);
    for (u64 row = 0; row < rows; ++row) {
      u8* planes[formats::max_planes] = {};
      for (u32 p = 0; p < format.gpu.plane_count; ++p) {
        planes[p] = gpu.data() + extent.plane_offset[p] + row * padded_blocks * format.gpu.plane_bytes[p];
      }
      format.repack(file.data() + row * row_blocks * format.block_bytes, row_blocks, planes);
    }
  }

  // What the format's fragment looks up, when it does.
  void bind_table(std::vector<Bytes>& memory, std::vector<u32>& bindings) const {
    if (!format.gpu_table) return;
    const auto words = format.gpu_table();
    bindings.push_back(u32(memory.size()));
    memory.push_back(bytes_of(std::vector<u32>(words.begin(), words.end())));
  }

  u32 row_units() const { return u32(ceil_div(cols, 8)); }
  cpu::Matrix on_cpu(u32 first, u32 count) const {
    const u64 row_bytes = u64(cols) / format.block_weights * format.block_bytes;
    return {&format, file.data() + first * row_bytes, count, cols};
  }
  template <class Params>
  void set_planes(Params& p) const {
    p.plane1 = u32(extent.plane_offset[1] / 4);
    p.plane2 = u32(extent.plane_offset[2] / 4);
    p.plane3 = u32(extent.plane_offset[3] / 4);
  }
};

struct Case {
  kernels::MatMulKind kind;
  u32 rows, cols, tokens;
  u32 padding = 0;  // columns of zeros behind the last
};

std::string name(const Case& c) {
  return std::string(c.kind.format->name) + " " + std::to_string(c.rows) + " x " + std::to_string(c.cols) + " tokens " +
         std::to_string(c.tokens) + (c.kind.norm ? " norm" : "") + (c.kind.bias ? " bias" : "") + " epilogue " +
         std::to_string(u32(c.kind.epilogue)) + " gate " + std::to_string(u32(c.kind.gate)) + " padding " +
         std::to_string(c.padding);
}

constexpr u32 x_base = 8, y_base = 5, bias_base = 3;  // of the operands within what is bound
constexpr float eps = 1e-5f;

std::vector<double> doubles(std::span<const float> from) { return {from.begin(), from.end()}; }

// y: what the output held before, [tokens][rows]
std::vector<double> reference(const Case& c, const TestMatrix& w, std::span<const float> x, u32 x_stride,
                              const std::vector<float>& norm, const std::vector<float>& bias, std::vector<double> y) {
  std::vector<double> in = doubles(x), weight = doubles(norm), b(bias.begin() + bias_base, bias.end());
  const u32 count = c.tokens, stride = u32(align_up(c.cols, 8));
  std::vector<double> normed(u64(count) * stride);
  for (u32 t = 0; t < count; ++t) std::copy_n(&in[u64(t) * x_stride], c.cols, &normed[u64(t) * stride]);
  const cpu::Rows<double> rows{normed.data(), count, c.cols, stride};
  if (c.kind.norm)
    cpu::norm<double>({.x = {}, .group = c.cols, .eps = eps}, rows, std::span(weight).first(c.cols), {}, rows);
  const auto product = [&](u32 first) {
    std::vector<double> out(u64(count) * c.rows);
    cpu::matmul<double>(w.on_cpu(first, c.rows), rows, c.kind.bias ? b.data() : nullptr,
                        {out.data(), count, c.rows, c.rows});
    return out;
  };
  const auto gate = [&](double a, double b) {
    switch (c.kind.gate) {
      case Function::gelu_gate:
        return a / 2 * std::erfc(-a * std::sqrt(0.5)) * b;
      case Function::gelu_tanh_gate:
        return a / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (a + 0.044715 * a * a * a))) * b;
      case Function::relu_squared_gate:
        return a > 0 ? a * a * b : 0;
      case Function::sigmoid_gate:
        return a / (1 + std::exp(-b));
      default:
        EXPECT_EQ(c.kind.gate, Function::silu_gate);
        return a / (1 + std::exp(-a)) * b;
    }
  };
  const std::vector<double> first = product(0);
  const std::vector<double> second =
      c.kind.epilogue == Epilogue::gated ? product(c.rows) : std::vector<double>(first.size());
  for (u64 i = 0; i < y.size(); ++i) {
    switch (c.kind.epilogue) {
      case Epilogue::none:
        y[i] = first[i];
        break;
      case Epilogue::add:
        y[i] += first[i];
        break;
      case Epilogue::gate:
        y[i] = gate(y[i], first[i]);
        break;
      case Epilogue::gated:
        y[i] = gate(first[i], second[i]);
        break;
    }
  }
  return y;
}

// What was not to be written is as it was; what was, is near the reference.
void compare(const Case& c, const std::vector<float>& before, const std::vector<float>& after, u32 stride,
             const std::vector<double>& expected) {
  std::vector<float> got;
  std::vector<bool> written(before.size());
  for (u32 t = 0; t < c.tokens; ++t) {
    for (u32 n = 0; n < c.rows + c.padding; ++n) {
      const u64 at = y_base + u64(t) * stride + n;
      written[at] = true;
      if (n < c.rows) got.push_back(after[at]);
      if (n >= c.rows) EXPECT_EQ(after[at], 0) << name(c) << " padding of token " << t;
    }
  }
  for (u64 i = 0; i < before.size(); ++i) {
    if (!written[i]) ASSERT_EQ(after[i], before[i]) << name(c) << " wrote outside, at " << i;
  }
  EXPECT_LE(relative_error(got, expected), tolerance(c.cols)) << name(c);
}

class MatMulOp : public OpCaseTest {
 protected:
  // By matvec one token, by its batch up to batch_limit, by GEMM any number.
  enum class By : u8 { matvec, batch, gemm };

  // The default.
  static const kernels::MatVecTile& matvec_tile(bool batch) {
    const auto kernel = batch ? kernels::TunedKernel::matvec_batch : kernels::TunedKernel::matvec;
    return kernels::matvec_tiles(batch)[kernels::default_candidate(kernel, runner().device().features())];
  }

  using OpCaseTest::check;
  static void check(const Case& c, By by, u32 seed, const gpu::Limits& limits = runner().device().limits()) {
    const bool gemm = by == By::gemm;
    const u32 batch = by == By::batch ? kernels::batch_tokens : 1;
    const bool gated = c.kind.epilogue == Epilogue::gated;
    const TestMatrix w(*c.kind.format, gated ? 2 * c.rows : c.rows, c.cols, seed);
    const u32 x_stride = u32(align_up(c.cols, 8)) + 16, y_stride = c.rows + c.padding + 7;
    auto x = random_floats(x_base + u64(c.tokens) * x_stride, seed + 1, 1.5f, 0.2f);
    for (u32 t = 0; t < c.tokens; ++t)
      std::fill_n(&x[x_base + u64(t) * x_stride + c.cols], align_up(c.cols, 8) - c.cols, 0.0f);
    auto norm = random_floats(align_up(c.cols, 8), seed + 2, 0.3f, 1);
    std::fill(norm.begin() + c.cols, norm.end(), 0.0f);
    const auto bias = random_floats(bias_base + c.rows, seed + 3);
    const auto y = random_floats(y_base + u64(c.tokens) * y_stride + 9, seed + 4);

    kernels::MatMulParams p;
    p.rows = c.rows, p.padded_rows = c.rows + c.padding, p.row_units = w.row_units();
    p.x_base = x_base / 4, p.x_stride = x_stride / 4, p.y_base = y_base, p.y_stride = y_stride, p.bias_base = bias_base;
    p.width = float(c.cols), p.eps = eps;
    w.set_planes(p);
    const kernels::GemmTile& gemm_tile = kernels::gemm_tiles()[0];
    const kernels::MatVecTile& tile = matvec_tile(by == By::batch);
    kernels::Grid grid = gemm ? kernels::gemm_grid(p.padded_rows, gated, gemm_tile)
                              : kernels::matvec_grid(p.padded_rows, tile, batch, limits);
    if (gemm) grid.y = u32(ceil_div(c.tokens, gemm_tile.tokens));
    if (by == By::batch) grid.z = u32(ceil_div(c.tokens, batch));
    kernels::StepState state;
    state.rows = c.tokens;

    std::vector<Bytes> memory{params_bytes(p), params_bytes(state), w.gpu,      bytes_of(x),
                              bytes_of(norm),  bytes_of(bias),      bytes_of(y)};
    const auto kernel = gemm ? kernels::gemm(c.kind, gemm_tile) : kernels::matvec(c.kind, tile, batch);
    std::vector<u32> bindings{0, 1, 2, 2, 3, 4, 5, 6};
    w.bind_table(memory, bindings);
    ASSERT_TRUE(runner().run(memory, {{kernel, bindings, grid}})) << name(c);

    std::vector<double> old;
    for (u32 t = 0; t < c.tokens; ++t) {
      for (u32 n = 0; n < c.rows; ++n) old.push_back(y[y_base + u64(t) * y_stride + n]);
    }
    const auto expected = reference(c, w, std::span(x).subspan(x_base), x_stride, norm, bias, old);
    auto after = as<float>(memory[6]);
    after.resize(y.size());
    compare(c, y, after, y_stride, expected);
  }

  // Calls visit(case, seed): all kinds of products for a plain format and one with several planes, two of them for the
  // others, which differ in how weights are decoded alone; shapes vary along the way.
  template <class Visit>
  static void each_case(std::span<const u32> tokens, const Visit& visit) {
    const kernels::MatMulKind kinds[] = {
        {nullptr, false, false, Epilogue::none},  {nullptr, true, false, Epilogue::none},
        {nullptr, true, true, Epilogue::none},    {nullptr, false, true, Epilogue::none},
        {nullptr, false, false, Epilogue::add},   {nullptr, false, true, Epilogue::add},
        {nullptr, true, false, Epilogue::gate},   {nullptr, true, false, Epilogue::gated},
        {nullptr, false, false, Epilogue::gated},
    };
    u32 round = 0;
    for (const formats::Format& format : formats::table()) {
      const bool all = format.name == "F32" || format.name == "Q4_0";
      for (u32 i = 0; i < std::size(kinds); ++i) {
        const u32 own = u32(&format - formats::table().data());
        if (!all && i != own % std::size(kinds) && i != (own + 4) % std::size(kinds)) continue;
        kernels::MatMulKind kind = kinds[i];
        kind.format = &format;
        for (u32 shape = 0; shape < 4; ++shape, ++round) {
          constexpr u32 rows[] = {1, 3, 7, 33, 64, 130};
          constexpr u32 blocks[] = {1, 3, 5, 17}, ragged[] = {4, 8, 52, 257, 601, 1100};
          const u32 cols = format.block_weights == 1 ? ragged[round % 6] : format.block_weights * blocks[round % 4];
          visit(Case{kind, rows[(round + round / 6) % 6], cols, tokens[round % tokens.size()],
                     round % 3 == 0 ? round % 7 : 0},
                round);
        }
      }
    }
  }
};

TEST_F(MatMulOp, MatVec) {
  const u32 one[] = {1};
  each_case(one, [](const Case& c, u32 seed) { check(c, By::matvec, seed); });
}

TEST_F(MatMulOp, MatVecOfAWideMatrix) {
  const kernels::MatMulKind kind{formats::find("Q4_0"), true, false, Epilogue::none};
  check({kind, 5000, 2048, 1}, By::matvec, 1);
}

// Over 1,048,560 rows need more workgroups than fit in a row; three in a row show the same with fewer rows.
TEST_F(MatMulOp, MatVecOfMoreRowsThanFitInARowOfWorkgroups) {
  gpu::Limits limits;
  EXPECT_EQ(kernels::matvec_grid(1048560, matvec_tile(false), 1, limits).y, 1u);
  EXPECT_EQ(kernels::matvec_grid(1048576, matvec_tile(false), 1, limits).y, 2u);
  limits.max_compute_workgroups_per_dimension = 3;
  for (const u32 rows : {61u, 400u}) {
    const kernels::Grid grid = kernels::matvec_grid(rows, matvec_tile(false), 1, limits);
    EXPECT_LE(grid.x, 3u);
    EXPECT_GT(grid.y, 1u);
    for (const auto epilogue : {Epilogue::none, Epilogue::gated}) {
      check({{formats::find("F32"), false, false, epilogue}, rows, 40, 1}, By::matvec, rows, limits);
      check({{formats::find("Q4_0"), true, false, epilogue}, rows, 64, 7}, By::batch, rows, limits);
    }
  }
}

TEST_F(MatMulOp, MatVecOfASmallBatch) {
  const u32 tokens[] = {2, 3, 7, 8, 9, 15, 16};
  each_case(tokens, [](const Case& c, u32 seed) { check(c, By::batch, seed); });
}

TEST_F(MatMulOp, Gemm) {
  const u32 tokens[] = {1, 2, 31, 33, 64, 65, 97, 130};
  each_case(tokens, [](const Case& c, u32 seed) { check(c, By::gemm, seed); });
}

// Those that fuse() folds into products, in both epilogues of all three kernels.
TEST_F(MatMulOp, EveryGate) {
  u32 seed = 0;
  for (const Function gate : {Function::silu_gate, Function::gelu_gate, Function::gelu_tanh_gate,
                              Function::relu_squared_gate, Function::sigmoid_gate}) {
    for (const Epilogue epilogue : {Epilogue::gate, Epilogue::gated}) {
      const kernels::MatMulKind kind{formats::find("F32"), seed % 2 == 0, false, epilogue, gate};
      check({kind, 37, 52, 1}, By::matvec, ++seed);
      check({kind, 70, 24, 6, 2}, By::batch, ++seed);
      check({kind, 41, 40, 35, 7}, By::gemm, ++seed);
    }
  }
}

TEST_F(MatMulOp, EmbedByPosition) {
  for (const char* format : {"F32", "F16", "Q8_0"}) check(engine::embed_case(*formats::find(format), 13, 64, 1, true));
}

TEST_F(MatMulOp, Experts) {
  const gpu::Limits limits = runner().device().limits();
  u32 seed = 0;
  for (const formats::Format& format : formats::table()) {
    const bool all = format.name == "F32" || format.name == "MXFP4" || format.name == "Q4_K";
    for (u32 i = 0; i < (all ? 6 : 1); ++i, ++seed) {
      engine::ExpertMatMulSpec spec{.format = &format,
                                    .matrices = 5,
                                    .rows = 3 + 9 * (seed % 5),
                                    .cols = format.block_weights == 1 ? 20 + 4 * (seed % 3) : format.block_weights,
                                    .slots = 1 + seed % 3,
                                    .tokens = 1 + seed % 6,
                                    .bias = i % 2 == 0,
                                    .chosen = i < 4,
                                    .own_x = i == 1 || i == 2 || i == 5};
      if (!spec.chosen) spec.matrices = spec.slots;
      check(engine::expert_matmul_case(spec, limits, runner().device().features(), seed));
      if (all && runner().device().features().subgroups) check(engine::expert_matmul_case(spec, limits, {}, seed));
    }
  }
  // Rows of workgroups, and slots that all parts of the grid's z hold.
  gpu::Limits narrow;
  narrow.max_compute_workgroups_per_dimension = 3;
  check(engine::expert_matmul_case(
      {.format = formats::find("F32"), .matrices = 7, .rows = 50, .cols = 36, .slots = 4, .tokens = 33}, narrow,
      runner().device().features(), 1));
}

// Tiles that are full, partly full and empty; experts that nobody chose; more of them than a workgroup has threads.
TEST_F(MatMulOp, GroupedExperts) {
  const gpu::Limits limits = runner().device().limits();
  u32 seed = 0;
  const auto check_gemm = [&](engine::ExpertMatMulSpec spec) {
    spec.kernel = engine::MatMulKernel::gemm;
    check(engine::expert_matmul_case(spec, limits, runner().device().features(), ++seed));
  };
  const formats::Format* plain = formats::find("F32");
  for (const formats::Format& format : formats::table()) {
    const u32 cols = format.block_weights == 1 ? 44 : format.block_weights;
    check_gemm({.format = &format, .matrices = 3, .rows = 70, .cols = cols, .slots = 2, .tokens = 50, .bias = true});
  }
  for (const u32 tokens : {1u, 2u, 8u, 9u, 32u, 33u, 65u, 97u}) {
    check_gemm({.format = plain, .matrices = 1, .rows = 5, .cols = 20, .slots = 1, .tokens = tokens});
    check_gemm({.format = plain, .matrices = 5, .rows = 65, .cols = 24, .slots = 3, .tokens = tokens, .own_x = true});
    check_gemm({.format = plain, .matrices = 97, .rows = 12, .cols = 36, .slots = 4, .tokens = tokens, .bias = true});
    check_gemm({.format = plain, .matrices = 3, .rows = 9, .cols = 20, .slots = 3, .tokens = tokens, .chosen = false});
    check_gemm({.format = plain,
                .matrices = 2,
                .rows = 130,
                .cols = 20,
                .slots = 2,
                .tokens = tokens,
                .bias = true,
                .chosen = false,
                .own_x = true});
  }
  for (const u32 experts : {255u, 256u, 257u, 1024u}) {
    check_gemm({.format = plain, .matrices = experts, .rows = 4, .cols = 8, .slots = 8, .tokens = 150});
    check_gemm({.format = plain, .matrices = 2, .rows = 4, .cols = 8, .slots = 8, .tokens = 9, .experts = experts});
  }
}

TEST_F(MatMulOp, UnchosenExpertsAreNotRead) {
  for (const auto kernel : {engine::MatMulKernel::matvec, engine::MatMulKernel::gemm}) {
    for (const u32 seed : {0u, 3u, 6u}) {
      constexpr u32 matrices = 7;  // in parts of four and three
      const engine::ExpertMatMulSpec spec{
          .kernel = kernel, .format = formats::find("F32"), .matrices = matrices, .rows = 10, .cols = 24};
      engine::OpCase c =
          engine::expert_matmul_case(spec, runner().device().limits(), runner().device().features(), seed);
      u32 first = 0, poisoned = 0;
      for (const engine::OpStep& step : c.steps) {
        if (step.kernel.label.starts_with("group_experts")) continue;
        Bytes& part = c.memory[step.memory[2]];
        const u64 matrix = 10 * 24 * sizeof(float);
        const u32 count = u32(part.size() / matrix);
        for (u32 i = 0; i < count; ++i) {
          if (first + i == seed % matrices) continue;           // the one that the case chooses
          std::memset(part.data() + i * matrix, 0xff, matrix);  // NaN
          ++poisoned;
        }
        first += count;
      }
      EXPECT_EQ(poisoned, matrices - 1);
      check(c);
    }
  }
}

// A weight is read once for all slots of an expert that fit a tile: the tiles are as many as that takes, and no more
// than the grid has room for.
TEST_F(MatMulOp, TilesOfExperts) {
  for (const auto& [slots, experts] : {std::pair{1u, 128u}, {16u, 4u}, {64u, 4u}, {1024u, 32u}, {2048u, 128u}}) {
    const u32 most = kernels::expert_tiles(slots, experts), full = kernels::gemm_tiles()[0].tokens;
    EXPECT_LE(most, slots);
    EXPECT_LE(most, slots / full + experts);
    // The worst case: all experts but one have one slot over full tiles.
    const u32 single = std::min(slots, experts - 1), rest = slots - single;
    EXPECT_GE(most, single + u32(ceil_div(rest, full)));
    const kernels::Scale scale{kernels::Scale::Axis::y, slots, full, experts};
    EXPECT_EQ(scale({}, 1).y, std::min(slots, u32(ceil_div(slots, full)) + experts));
    EXPECT_GE(scale({}, 1).y, most);
  }
}

TEST_F(MatMulOp, AStepAfterTheEndWritesNothing) {
  const TestMatrix w(*formats::find("F32"), 8, 16, 1);
  const auto y = random_floats(16, 2);
  kernels::MatMulParams p;
  p.rows = p.padded_rows = 8, p.row_units = 2, p.width = 16;
  kernels::StepState state;
  state.rows = state.finished = 1;
  std::vector<Bytes> memory{params_bytes(p), params_bytes(state), w.gpu, bytes_of(random_floats(16, 3)),
                            Bytes(64),       bytes_of(y)};
  const auto kernel = kernels::matvec({formats::find("F32")}, matvec_tile(false), 1);
  ASSERT_TRUE(runner().run(memory, {{kernel, {0, 1, 2, 2, 3, 4, 4, 5}, {2}}}));
  EXPECT_EQ(as<float>(memory[5]), y);
}

TEST_F(MatMulOp, Embed) {
  u32 seed = 0;
  for (const formats::Format& format : formats::table()) {
    for (const u32 width : {20u, 32u, 96u, 256u, 768u, 2048u + 32u}) {
      if (width % format.block_weights != 0) continue;
      constexpr u32 first_row = 40, rows = 13;  // the part of a table that is bound
      const TestMatrix w(format, rows, width, ++seed);
      const u32 stride = u32(align_up(width, 8)) + 4;
      const std::vector<u32> tokens{40, 52, 39, 53, 45, 45, 0, 0xffffffff};
      const auto y = random_floats(tokens.size() * stride, seed + 100);
      kernels::EmbedParams p;
      p.first_row = first_row, p.rows = rows, p.row_units = w.row_units(), p.y_stride = stride / 4;
      w.set_planes(p);
      kernels::StepState state;
      state.rows = u32(tokens.size());
      std::vector<Bytes> memory{params_bytes(p), params_bytes(state), w.gpu, bytes_of(tokens), bytes_of(y)};
      const kernels::Grid grid{kernels::embed_grid(p.row_units), state.rows};
      std::vector<u32> bindings{0, 1, 2, 2, 3, 4};
      w.bind_table(memory, bindings);
      ASSERT_TRUE(runner().run(memory, {{kernels::embed(format, false), bindings, grid}})) << format.name;
      const auto got = as<float>(memory[4]);
      std::vector<float> expected = y;
      for (u32 t = 0; t < tokens.size(); ++t) {
        if (tokens[t] < first_row || tokens[t] >= first_row + rows) continue;
        std::fill_n(&expected[u64(t) * stride], align_up(width, 8), 0.0f);
        cpu::decode_row(w.on_cpu(0, rows), tokens[t] - first_row, &expected[u64(t) * stride]);
      }
      EXPECT_EQ(std::vector<float>(got.begin(), got.begin() + i64(y.size())), expected) << format.name << " " << width;
    }
  }
}

}  // namespace
}  // namespace pronk::test
