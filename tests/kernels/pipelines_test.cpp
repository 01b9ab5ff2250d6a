// Every kernel that plans ask for compiles on the device: all architectures, formats, head shapes and cache types.
#include "engine/gpu_plan.h"
#include "support/engine_model.h"
#include "support/kernel_runner.h"

namespace pronk::test {
namespace {

class Pipelines : public KernelTest {
 protected:
  // Adds the kernels of a plan that are new.
  static void collect(const ModelSpec& spec, const engine::PlanOptions& options,
                      std::map<std::string, gpu::PipelineDesc>& kernels) {
    const auto files = model_files(spec);
    const auto header = files::parse_gguf(files[0], files[0].size());
    ASSERT_TRUE(header && header->gguf);
    const auto model = models::read_model(*header->gguf);
    ASSERT_TRUE(model) << model.error().message;
    const auto plan = engine::plan_gpu(*model, options, {}, runner().device().features());
    ASSERT_TRUE(plan) << plan.error().message;
    for (const gpu::PipelineDesc& kernel : plan->pipelines) {
      const auto [at, added] = kernels.try_emplace(kernel.label, kernel);
      if (!added) EXPECT_EQ(at->second.wgsl, kernel.wgsl) << "two texts have one key: " << kernel.label;
    }
  }
};

TEST_F(Pipelines, AllCompile) {
  std::map<std::string, gpu::PipelineDesc> kernels;
  for (const auto kv : {graph::KvType::f16, graph::KvType::f32}) {
    const engine::PlanOptions options{.context = 100, .kv = kv, .all_logits = kv == graph::KvType::f32};
    for (const formats::Format& format : formats::table()) {
      ModelSpec spec{.layers = 1,
                     .width = 256,
                     .feed_forward = 256,
                     .heads = 4,
                     .dim = 64,
                     .matrix = std::string(format.name),
                     .zeros = true};
      collect(spec, options, kernels);
      if (format.name != "F32" && format.name != "Q4_0")
        continue;  // the others differ in how weights are decoded alone
      for (const char* arch : {"llama", "qwen2", "qwen3"}) {
        spec.arch = arch;
        collect(spec, options, kernels);
      }
      spec.arch = "llama";
      spec.bias = true;
      collect(spec, options, kernels);
      spec.formats = {{"ffn_gate", "F16"}};  // the gate epilogue
      collect(spec, options, kernels);
    }
    for (const u32 dim : {4u, 8u, 20u, 32u, 48u, 64u, 80u, 96u, 112u, 128u, 160u, 192u, 256u}) {
      for (const u32 group : {1u, 3u, 8u, 16u}) {
        collect({.layers = 1, .heads = group, .kv_heads = 1, .dim = dim, .zeros = true}, options, kernels);
      }
    }
  }
  std::vector<gpu::PipelineDesc> list;
  for (auto& [label, kernel] : kernels) list.push_back(std::move(kernel));
  EXPECT_GT(list.size(), 150u);
  EXPECT_TRUE(runner().compile_all(list));
  RecordProperty("kernels", int(list.size()));
}

}  // namespace
}  // namespace pronk::test
