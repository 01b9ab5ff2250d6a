// half_to_float of the kernels, for every binary16.
#include "base/half.h"

#include "kernels/embedded.h"
#include "kernels/launch.h"
#include "support/kernel_runner.h"

namespace pronk::test {
namespace {

class HalfOnGpu : public KernelTest {};

constexpr std::string_view convert_all = R"(
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  out[id.x] = bitcast<u32>(half_to_float(id.x));
}
)";

bool is_nan(u32 bits) { return (bits & 0x7fffffff) > 0x7f800000; }

TEST_F(HalfOnGpu, EveryHalfIsExact) {
  const gpu::PipelineDesc kernel{"half_to_float",
                                 std::string(kernels::wgsl_source("common")) + std::string(convert_all),
                                 {gpu::BindingType::storage_read_write}};
  std::vector<Bytes> memory{Bytes(65536 * 4)};
  ASSERT_TRUE(runner().run(memory, {{kernel, {0}, {1024}}}));
  const auto got = as<u32>(memory[0]);
  for (u32 h = 0; h < 65536; ++h) {
    const u32 expected = std::bit_cast<u32>(f16_to_f32(u16(h)));
    // WGSL lets a device make NaN of infinity, but not a finite number of either.
    const bool nan_for_special = (h & 0x7c00) == 0x7c00 && is_nan(got[h]);
    ASSERT_TRUE(got[h] == expected || nan_for_special) << std::hex << h << " became " << got[h];
  }
}

// Every format with a scale in f16 passes its infinity on: no product with such a weight is finite.
TEST_F(HalfOnGpu, AnInfiniteScaleGivesNoFiniteProduct) {
  for (const char* name : {"F16", "Q8_0", "Q4_0"}) {
    const formats::Format& format = *formats::find(name);
    const u32 cols = 32;
    std::vector<u8> block(format.block_bytes * (cols / format.block_weights));
    const u16 infinity = 0x7c00;
    for (u64 i = 0; i < block.size(); i += format.block_bytes) std::memcpy(&block[i], &infinity, 2);
    const formats::GpuExtent extent = formats::gpu_extent(format, 1, cols);
    Bytes weight(extent.bytes);
    u8* planes[formats::max_planes] = {};
    for (u32 p = 0; p < format.gpu.plane_count; ++p) planes[p] = weight.data() + extent.plane_offset[p];
    format.repack(block.data(), cols / format.block_weights, planes);
    kernels::MatMulParams p;
    p.rows = p.padded_rows = 1, p.row_units = cols / 8, p.width = cols;
    p.plane1 = u32(extent.plane_offset[1] / 4);
    kernels::StepState state;
    state.rows = 1;
    std::vector<Bytes> memory{params_bytes(p), params_bytes(state), weight, bytes_of(random_floats(cols, 1)), Bytes(64),
                              Bytes(16)};
    const auto kernel = kernels::matmul_pipeline(
        kernels::MatMulKernel::matvec, {&format},
        kernels::default_candidate(kernels::TunedKernel::matvec, runner().device().features()));
    ASSERT_TRUE(runner().run(memory, {{kernel, {0, 1, 2, 2, 3, 4, 4, 5}, {1}}}));
    EXPECT_FALSE(std::isfinite(as<float>(memory[5])[0])) << name;
  }
}

}  // namespace
}  // namespace pronk::test
