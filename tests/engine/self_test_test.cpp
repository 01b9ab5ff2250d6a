// The self-test at load: every kernel of a plan is tried, right devices pass, wrong ones get safer kernels or are
// refused.
#include "engine/self_test.h"

#include <gtest/gtest.h>

#include <set>

#include "formats/additive.h"
#include "kernels/candidates.h"
#include "kernels/embedded.h"
#include "support/engine_driver.h"
#include "support/limited_device.h"

namespace pronk {
namespace {

using test::LimitedDevice;
using test::ModelSpec;
using Edit = std::function<void(gpu::PipelineDesc&)>;

std::unique_ptr<gpu::Device> native() {
  auto device = gpu::create_native_device();
  return device ? std::move(*device) : nullptr;
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  ASSERT_NE(at, text.npos) << from;
  text.replace(at, from.size(), to);
}

bool has(const gpu::PipelineDesc& kernel, std::string_view word) {
  return kernel.label.find(word) != std::string::npos;
}

// A device that says it has subgroups, with the plain reduction in their place.
void without_subgroups(gpu::PipelineDesc& kernel) {
  if (!has(kernel, "reduce_subgroup")) return;
  replace(kernel.wgsl, "enable subgroups;", "");
  replace(kernel.wgsl, kernels::wgsl_source("reduce_subgroup"), kernels::wgsl_source("reduce_lanes"));
}
// All matvec results are larger by one in a thousand.
void off_by_a_thousandth(gpu::PipelineDesc& kernel) {
  if (has(kernel, "matvec")) replace(kernel.wgsl, "var value = scale", "var value = 1.001 * scale");
}

gpu::Features subgroups() { return {.subgroups = true, .subgroup_min_size = 32, .subgroup_max_size = 32}; }

// What an engine on a device with these faults says and does.
struct Loaded {
  std::string error;
  std::vector<u32> tokens;
  std::vector<std::string> kernels;  // labels of what was compiled, in order
};

Loaded load(const ModelSpec& spec, const gpu::Features& features, const Edit& edit, const LoadOptions& options = {}) {
  Loaded loaded;
  const auto files = test::model_files(spec);
  auto device = std::make_unique<LimitedDevice>(native(), features, [&](gpu::PipelineDesc& kernel) {
    loaded.kernels.push_back(kernel.label);
    edit(kernel);
  });
  auto engine = test::load(files, options, std::move(device));
  if (!engine) {
    loaded.error = engine.error().message;
    return loaded;
  }
  EXPECT_EQ((*engine)->planned(), (*engine)->allocated());
  const auto tokens =
      test::generate(**engine, test::some_tokens(20, 3, spec.vocab), {.max_tokens = 8, .ignore_end = true});
  EXPECT_TRUE(tokens) << tokens.error().message;
  if (tokens) loaded.tokens = *tokens;
  EXPECT_EQ((*engine)->run_counters().pipelines_created_after_load, 0u);
  return loaded;
}

class SelfTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto device = gpu::create_native_device();
    if (device) return;
    ASSERT_TRUE(device.error().message.starts_with("no WebGPU adapter")) << device.error().message;
    GTEST_SKIP() << device.error().message;
  }
};

TEST_F(SelfTest, ARightDevicePasses) {
  const Loaded right = load({.layers = 1}, {}, [](auto&) {});
  EXPECT_EQ(right.error, "");
  EXPECT_EQ(right.tokens.size(), 8u);
  const Loaded untested = load({.layers = 1}, {}, [](auto&) {}, {.self_test = false});
  EXPECT_EQ(right.tokens, untested.tokens);
  EXPECT_EQ(right.kernels, untested.kernels);  // nothing else is compiled for the test
}

TEST_F(SelfTest, RightSubgroupKernelsStay) {
  const Loaded right = load({.layers = 1}, subgroups(), without_subgroups);
  EXPECT_EQ(right.error, "");
  const Loaded untested = load({.layers = 1}, subgroups(), without_subgroups, {.self_test = false});
  EXPECT_EQ(right.kernels, untested.kernels);
}

TEST_F(SelfTest, WrongSubgroupKernelsAreReplaced) {
  const Loaded right = load({.layers = 1}, {}, [](auto&) {});
  const Edit wrong = [](gpu::PipelineDesc& kernel) {
    if (has(kernel, "reduce_subgroup")) off_by_a_thousandth(kernel);
    without_subgroups(kernel);
  };
  const Loaded fallen = load({.layers = 1}, subgroups(), wrong);
  EXPECT_EQ(fallen.error, "");
  EXPECT_EQ(fallen.tokens, right.tokens);
  u32 safer = 0, unsafe = 0;
  for (const std::string& label : fallen.kernels) {
    safer += label.find("reduce_lanes") != label.npos;
    unsafe += label.find("reduce_subgroup") != label.npos;
  }
  EXPECT_GT(unsafe, 0u);
  EXPECT_EQ(safer, unsafe);
  EXPECT_EQ(fallen.kernels.size(), right.kernels.size() + safer);  // what does not change is not compiled again
}

// Measured choices that compute wrongly give way to the defaults, with other grids.
TEST_F(SelfTest, WrongChoicesAreReplaced) {
  const ModelSpec spec{.layers = 1};
  const Loaded right = load(spec, {}, [](auto&) {});
  auto tuning = std::make_shared<kernels::Tuning>();
  const formats::Format& format = *formats::find(spec.matrix);
  for (u32 rows = 1; rows < 4096; rows *= 2) {
    for (u32 cols = 1; cols < 4096; cols *= 2) {
      tuning->choose(kernels::tuning_key(kernels::TunedKernel::matvec, format, rows, cols), "32x1x32");
      tuning->choose(kernels::tuning_key(kernels::TunedKernel::gemm, format, rows, cols), "32x128");
    }
  }
  const auto chosen = [](const gpu::PipelineDesc& kernel) { return has(kernel, "LANES=32 ROWS=1"); };
  u32 compiled = 0;
  const Loaded tuned = load(spec, {}, [&](auto& kernel) { compiled += chosen(kernel); }, {.tuning = tuning});
  EXPECT_EQ(tuned.error, "");
  EXPECT_EQ(tuned.tokens, right.tokens);
  EXPECT_GT(compiled, 0u);
  EXPECT_EQ(tuned.kernels.size(), right.kernels.size());  // they stay
  const Edit wrong = [&](gpu::PipelineDesc& kernel) {
    if (chosen(kernel)) off_by_a_thousandth(kernel);
  };
  const Loaded fallen = load(spec, {}, wrong, {.tuning = tuning});
  EXPECT_EQ(fallen.error, "");
  EXPECT_EQ(fallen.tokens, right.tokens);
  EXPECT_GT(fallen.kernels.size(), tuned.kernels.size());
}

// One that splits k is two kernels; in their place comes one, on the bindings of small batches.
TEST_F(SelfTest, WrongSplitsAreReplaced) {
  const ModelSpec spec{.layers = 2, .width = 256};
  auto tuning = std::make_shared<kernels::Tuning>();
  tuning->fall_back("gemm *", "64x128/4");
  const Edit none = [](auto&) {};
  const Loaded whole = load(spec, {}, none), split = load(spec, {}, none, {.tuning = tuning});
  EXPECT_EQ(split.error, "");
  EXPECT_EQ(split.tokens, whole.tokens);
  const auto combines = [](const Loaded& loaded) {
    return std::ranges::count_if(loaded.kernels, [](const auto& label) { return label.starts_with("gemm_combine"); });
  };
  EXPECT_EQ(combines(whole), 0);
  EXPECT_GT(combines(split), 0);
  const Edit edits[] = {[](gpu::PipelineDesc& kernel) {
                          if (has(kernel, "gemm_combine")) replace(kernel.wgsl, "var split = 0u", "var split = 1u");
                        },
                        [](gpu::PipelineDesc& kernel) {
                          if (has(kernel, "SPLITS=4") && has(kernel, "TILE_T"))
                            replace(kernel.wgsl, "first_unit = first;", "first_unit = 0u;");
                        }};
  for (const Edit& edit : edits) {
    const Loaded fallen = load(spec, {}, edit, {.tuning = tuning});
    EXPECT_EQ(fallen.error, "");
    EXPECT_EQ(fallen.tokens, whole.tokens);
    EXPECT_GT(fallen.kernels.size(), split.kernels.size());
  }
}

TEST_F(SelfTest, AWrongGpuIsRefused) {
  const std::string batch = "TOKENS=" + std::to_string(kernels::batch_tokens);
  const std::pair<const char*, Edit> faults[] = {
      {"matvec", off_by_a_thousandth},
      {"matvec",
       [&](auto& kernel) {
         if (has(kernel, batch)) off_by_a_thousandth(kernel);
       }},
      {"gemm",
       [](auto& kernel) {
         if (has(kernel, "gemm")) replace(kernel.wgsl, "var value = scale", "var value = 0.9999 * scale");
       }},
      {"gemm",
       [](auto& kernel) {
         if (has(kernel, "gemm")) replace(kernel.wgsl, "round < 8u / STORE_T", "round < 3u");
       }},
      {"embed",
       [](auto& kernel) {
         if (has(kernel, "embed")) replace(kernel.wgsl, "= v.hi", "= v.lo");
       }},
      {"rotate_store",
       [](auto& kernel) {
         if (has(kernel, "rotate_store")) replace(kernel.wgsl, "position >> 6u", "position >> 7u");
       }},
      {"attention",
       [](auto& kernel) {
         if (has(kernel, "attention")) replace(kernel.wgsl, "* params.scale", "* params.scale * 1.01");
       }},
      {"combine",
       [](auto& kernel) {
         if (has(kernel, "combine")) replace(kernel.wgsl, "var s = 0u;", "var s = 1u;");
       }},
      {"sample_pick",
       [](auto& kernel) {
         if (has(kernel, "sample_pick")) replace(kernel.wgsl, "next_token[0] = picked", "next_token[0] = picked + 1u");
       }},
  };
  for (const auto& [word, fault] : faults) {
    SCOPED_TRACE(word);
    const Loaded wrong = load({}, {}, fault);
    EXPECT_TRUE(wrong.error.starts_with("this GPU computes wrongly: kernel '")) << wrong.error;
    EXPECT_NE(wrong.error.find(word), std::string::npos) << wrong.error;
    EXPECT_NE(wrong.error.find("is off by "), std::string::npos) << wrong.error;
    EXPECT_EQ(wrong.error.find('\n'), std::string::npos);
  }
  EXPECT_EQ(load({.layers = 1}, {}, off_by_a_thousandth, {.self_test = false}).error, "");
}

TEST_F(SelfTest, NoSaferKernelsEither) {
  const Loaded wrong = load({.layers = 1}, subgroups(), [&](gpu::PipelineDesc& kernel) {
    off_by_a_thousandth(kernel);
    without_subgroups(kernel);
  });
  EXPECT_TRUE(wrong.error.starts_with("this GPU computes wrongly: kernel 'matvec")) << wrong.error;
  EXPECT_NE(wrong.error.find("reduce_lanes"), std::string::npos) << wrong.error;
}

engine::GpuPlan plan_of(const models::Model& model, const engine::PlanOptions& options, const gpu::Features& features) {
  auto plan = engine::plan_gpu(model, options, {}, features);
  EXPECT_TRUE(plan) << plan.error().message;
  return plan ? std::move(*plan) : engine::GpuPlan{};
}

models::Model model_of(const ModelSpec& spec) {
  const auto files = test::model_files(spec);
  const auto header = files::parse_gguf(files[0], files[0].size());
  CHECK(header && header->gguf);
  auto model = models::read_model(*header->gguf);
  EXPECT_TRUE(model) << model.error().message;
  return model ? std::move(*model) : models::Model{};
}

// The cases of a plan use each of its pipelines and no other.
void expect_covered(const models::Model& model, const engine::PlanOptions& options, const gpu::Features& features) {
  const engine::GpuPlan plan = plan_of(model, options, features);
  std::set<std::string> planned, used;
  for (const gpu::PipelineDesc& kernel : plan.pipelines) planned.insert(kernel.label);
  for (const engine::OpCase& c : engine::self_test_cases(model, plan, {}, features)) {
    for (const engine::OpStep& step : c.steps) used.insert(step.kernel.label);
  }
  EXPECT_EQ(used, planned) << model.architecture;
}
void expect_covered(const ModelSpec& spec, const engine::PlanOptions& options, const gpu::Features& features) {
  SCOPED_TRACE(spec.matrix);
  expect_covered(model_of(spec), options, features);
}

TEST(SelfTestCases, UseEveryPipelineOfSplitProducts) {
  auto tuning = std::make_shared<kernels::Tuning>();
  tuning->fall_back("gemm *", "64x128/4");
  for (const char* format : {"Q8_0", "IQ4_NL"}) {
    const ModelSpec spec{.bias = true, .matrix = format, .zeros = true};
    const engine::PlanOptions options{.context = 300, .all_logits = true, .tuning = tuning};
    expect_covered(spec, options, {});
    const engine::GpuPlan plan = plan_of(model_of(spec), options, {});
    EXPECT_TRUE(std::ranges::any_of(plan.pipelines, [](const auto& kernel) { return has(kernel, "gemm_combine"); }));
  }
}

TEST(SelfTestCases, UseEveryPipelineOfThePlan) {
  for (const bool scoring : {false, true}) {
    for (const gpu::Features& features : {gpu::Features{}, subgroups()}) {
      const engine::PlanOptions options{
          .context = 300, .kv = {graph::KvType::q8, graph::KvType::f16}, .all_logits = scoring};
      for (const char* arch : {"llama", "qwen2", "qwen3"}) {
        for (const u32 layers : {1u, 3u})
          expect_covered({.arch = arch, .layers = layers, .zeros = true}, options, features);
      }
      expect_covered({.tied = false, .bias = true, .matrix = "F16", .formats = {{"ffn_gate", "F32"}}, .zeros = true},
                     options, features);
      expect_covered({.width = 256,
                      .feed_forward = 256,
                      .heads = 16,
                      .kv_heads = 4,
                      .dim = 80,
                      .matrix = "Q4_K",
                      .formats = {{"attn_v", "Q6_K"}, {"ffn_down", "Q6_K"}},
                      .zeros = true},
                     options, features);
    }
  }
}

// Matrices that are sums of vectors from code books, of several kinds in one model.
TEST(SelfTestCases, UseEveryPipelineOfAdditiveWeights) {
  models::Model model = model_of({.layers = 2, .tied = false, .zeros = true});
  std::vector<graph::Weight>& weights = model.graph.weights;
  const std::size_t count = weights.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (weights[i].rows == 1) continue;
    const u32 books = 1 + i % 2, group = 8;
    weights[i].format = formats::find_additive(24 + i % 3 % 2, books, group);
    weights[i].books = graph::WeightId(weights.size());
    weights[i].scales = graph::WeightId(weights.size() + 1);
    const std::string name = weights[i].name;
    const u32 rows = weights[i].rows;
    weights.push_back({name + ".books", formats::find("F32"), books * 256, group});
    weights.push_back({name + ".scales", formats::find("F32"), 1, rows});
  }
  for (const gpu::Features& features : {gpu::Features{}, subgroups()})
    expect_covered(model, {.context = 300}, features);
}

TEST(SelfTestCases, ADeviceThatDoesNotComputeIsNotAsked) {
  const auto e = test::NullEngine::load(test::model_files({.zeros = true}), {});
  ASSERT_TRUE(e) << e.error().message;
  EXPECT_TRUE(e->engine->ready());
  EXPECT_TRUE(e->device->submissions().empty());
}

}  // namespace
}  // namespace pronk
