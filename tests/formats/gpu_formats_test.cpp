// The WGSL fragment of every format on the machine's device: each weight as decode() has it, and products in range.
#include "support/files.h"
#include "support/kernel_runner.h"
#include "support/random_blocks.h"

namespace pronk::formats {
namespace {

using test::Bytes;
using test::bytes_of;
using test::params_bytes;

// Rows of blocks as in the file, and as the loader lays them out for the GPU.
struct Weight {
  const Format& format;
  u32 rows, cols;
  std::vector<float> decoded;  // [rows][cols]
  Bytes gpu;
  GpuExtent extent;

  Weight(const Format& f, u32 r, u32 c, const std::vector<u8>& blocks)
      : format(f), rows(r), cols(c), decoded(u64(r) * c), extent(gpu_extent(f, r, c)) {
    const u64 count = u64(rows) * cols / format.block_weights;
    EXPECT_EQ(blocks.size(), count * format.block_bytes);
    EXPECT_EQ(gpu_row_weights(format, cols), cols);
    format.decode(blocks.data(), count, decoded.data());
    gpu.resize(extent.bytes);
    u8* planes[max_planes];
    for (u32 p = 0; p < format.gpu.plane_count; ++p) planes[p] = gpu.data() + extent.plane_offset[p];
    format.repack(blocks.data(), count, planes);
  }

  template <class Params>
  void set_planes(Params& params) const {
    params.row_units = cols / 8;
    params.plane1 = u32(extent.plane_offset[1] / 4);
    params.plane2 = u32(extent.plane_offset[2] / 4);
    params.plane3 = u32(extent.plane_offset[3] / 4);
  }
};

class GpuFormats : public test::KernelTest {
 protected:
  // Runs one kernel on memory bound in order, with the weight (memory[2]) at bindings 2 and 3 and the format's table
  // behind everything; what is in the last of memory afterwards.
  static std::vector<float> run(const Format& format, const gpu::PipelineDesc& kernel, std::vector<Bytes> memory,
                                kernels::Grid grid) {
    std::vector<u32> bound{0, 1, 2};
    for (u32 i = 2; i < memory.size(); ++i) bound.push_back(i);
    const std::size_t output = memory.size() - 1;
    if (format.gpu_table) {
      const std::span<const u32> table = format.gpu_table();
      bound.push_back(u32(memory.size()));
      memory.push_back(bytes_of(std::vector<u32>(table.begin(), table.end())));
    }
    EXPECT_EQ(bound.size(), kernel.bindings.size());
    if (!runner().run(memory, {{kernel, bound, grid}})) return {};
    return test::as<float>(memory[output]);
  }

  // All weights, read through the embedding look-up.
  static std::vector<float> read_all(const Weight& weight) {
    std::vector<u32> tokens(weight.rows);
    for (u32 row = 0; row < weight.rows; ++row) tokens[row] = row;
    kernels::EmbedParams params;
    params.rows = weight.rows, params.y_stride = weight.cols / 4;
    weight.set_planes(params);
    kernels::StepState state;
    state.rows = weight.rows;
    const Bytes out(weight.decoded.size() * 4);
    return run(weight.format, kernels::embed(weight.format, false),
               {params_bytes(params), params_bytes(state), weight.gpu, bytes_of(tokens), out},
               {kernels::embed_grid(params.row_units), weight.rows});
  }

  // The bound of ../shared/vectors/dequant: a device may fuse multiply and add.
  static void expect_decoded(const Weight& weight) {
    const std::vector<float> got = read_all(weight);
    ASSERT_EQ(got.size(), weight.decoded.size());
    const u32 step = std::max(8u, weight.format.block_weights);
    for (u64 first = 0; first < got.size(); first += step) {
      float largest = 0;
      for (u64 i = first; i < first + step; ++i) largest = std::max(largest, std::fabs(weight.decoded[i]));
      for (u64 i = first; i < first + step; ++i) {
        const bool near = std::fabs(got[i] - weight.decoded[i]) <= 1e-6f * largest;
        ASSERT_TRUE(near) << weight.format.name << " weight " << i << " is " << got[i] << ", not " << weight.decoded[i];
      }
    }
  }

  // By matvec one token, by its batch up to batch_limit, by GEMM any number.
  enum class By : u8 { matvec, batch, gemm };

  static void expect_product(const Weight& weight, u32 tokens, By by) {
    const std::vector<float> x = test::random_floats(u64(tokens) * weight.cols, tokens);
    std::vector<double> expected;
    for (u32 t = 0; t < tokens; ++t) {
      for (u32 row = 0; row < weight.rows; ++row) {
        double sum = 0;
        for (u32 k = 0; k < weight.cols; ++k) {
          sum += double(weight.decoded[u64(row) * weight.cols + k]) * double(x[u64(t) * weight.cols + k]);
        }
        expected.push_back(sum);
      }
    }
    kernels::MatMulParams params;
    params.rows = params.padded_rows = params.y_stride = weight.rows;
    params.x_stride = weight.cols / 4;
    weight.set_planes(params);
    const kernels::MatMulKind kind{&weight.format};
    const auto& device = runner().device();
    const bool gemm = by == By::gemm;
    const u32 batch = by == By::batch ? kernels::batch_tokens : 1;
    using kernels::TunedKernel;
    const auto tuned = by == By::batch ? TunedKernel::matvec_batch : TunedKernel::matvec;
    const auto& tile = kernels::matvec_tiles(by == By::batch)[kernels::default_candidate(tuned, device.features())];
    const auto& gemm_tile = kernels::gemm_tiles()[0];
    const auto kernel = gemm ? kernels::gemm(kind, gemm_tile) : kernels::matvec(kind, tile, batch);
    kernels::Grid grid = gemm ? kernels::gemm_grid(weight.rows, false, gemm_tile)
                              : kernels::matvec_grid(weight.rows, tile, batch, device.limits());
    if (gemm) grid.y = u32(ceil_div(tokens, gemm_tile.tokens));
    if (by == By::batch) grid.z = u32(ceil_div(tokens, batch));
    kernels::StepState state;
    state.rows = tokens;
    const Bytes norm(16), bias(16), out(align_up(expected.size() * 4, 16));
    std::vector<float> got =
        run(weight.format, kernel,
            {params_bytes(params), params_bytes(state), weight.gpu, bytes_of(x), norm, bias, out}, grid);
    got.resize(expected.size());
    EXPECT_LE(test::relative_error(got, expected), test::tolerance(weight.cols))
        << weight.format.name << " " << weight.rows << " x " << weight.cols << ", " << tokens << " tokens";
  }

  static Weight random_weight(const Format& format, u32 rows, u32 cols) {
    return {format, rows, cols, test::random_blocks(format, u64(rows) * cols / format.block_weights, rows + cols)};
  }
};

TEST_F(GpuFormats, LookUpIsDecode) {
  for (const Format& format : table()) {
    expect_decoded(random_weight(format, 13, 3 * std::max(32u, format.block_weights)));
  }
}

// Real quantisers' blocks, and edges: zero, negative and subnormal scales, all bits 0 and 1.
TEST_F(GpuFormats, LookUpIsDecodeOnReferenceBlocks) {
  u32 found = 0;
  for (const Format& format : table()) {
    const std::string name(format.name);
    const auto blocks = test::read_file(test::shared_path("vectors/dequant/" + name + ".blocks.bin"));
    if (!blocks) continue;
    ++found;
    const u32 weights = u32(blocks->size() / format.block_bytes * format.block_weights);
    expect_decoded({format, 8, weights / 8, *blocks});
  }
  if (found == 0) GTEST_SKIP() << "../shared/vectors/dequant is not on this machine";
  EXPECT_EQ(found, table().size() - 3);  // F32, Q4_0_BF16 and NF4 have none
}

TEST_F(GpuFormats, MatVec) {
  for (const Format& format : table()) {
    expect_product(random_weight(format, 37, 1280), 1, By::matvec);
    expect_product(random_weight(format, 3, 16384), 1, By::matvec);
  }
}

TEST_F(GpuFormats, MatVecOfAFewTokens) {
  for (const Format& format : table()) {
    const Weight weight = random_weight(format, 37, 768);
    for (u32 tokens : {2u, 5u, 8u, 16u}) expect_product(weight, tokens, By::batch);
    expect_product(random_weight(format, 3, 16384), 3, By::batch);
  }
}

TEST_F(GpuFormats, Gemm) {
  for (const Format& format : table()) {
    const Weight weight = random_weight(format, 67, 768);
    for (u32 tokens : {2u, 5u, 16u, 64u}) expect_product(weight, tokens, By::gemm);
    expect_product(random_weight(format, 5, 16384), 3, By::gemm);
    expect_product(random_weight(format, 9, 256), 257, By::gemm);
  }
}

}  // namespace
}  // namespace pronk::formats
