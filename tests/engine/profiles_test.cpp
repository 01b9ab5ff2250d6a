// Every preset on every device profile: the plan lies within the profile's limits, or its refusal names the one in the
// way.
#include "profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "engine/gpu_plan.h"
#include "files/gguf.h"
#include "gpu/null.h"
#include "models/model.h"
#include "profiles_text.h"
#include "support/files.h"
#include "support/wgsl_sizes.h"
#include "synth_model.h"

namespace pronk {
namespace {

using cli::Profile;
using engine::GpuPlan;
using engine::PlanOptions;

models::Model preset_model(const cli::SynthPreset& preset, const char* format) {
  const std::vector<u8> header = cli::SynthModel(preset, *formats::find(format)).writer().header();
  auto parsed = files::parse_gguf(header, std::nullopt);
  EXPECT_TRUE(parsed && parsed->gguf);
  auto model = models::read_model(*parsed->gguf);
  EXPECT_TRUE(model) << model.error().message;
  return std::move(*model);
}

// Does on a device without hardware what the runner does: all that the plan lists, at once.
void create(const GpuPlan& plan, gpu::NullDevice& device) {
  std::vector<gpu::BufferId> buffers;
  std::vector<gpu::PipelineId> pipelines;
  for (const gpu::BufferDesc& desc : plan.buffers) buffers.push_back(device.create_buffer(desc));
  for (const gpu::PipelineDesc& desc : plan.pipelines) pipelines.push_back(device.create_pipeline(desc));
  const auto run = [&](const std::vector<engine::Dispatch>& program, u32 tokens) {
    for (const engine::Dispatch& dispatch : program) {
      std::vector<gpu::BufferRange> ranges;
      for (const engine::Range& range : dispatch.bindings)
        ranges.push_back({buffers[range.buffer], range.offset, (range.size + 3) / 4 * 4});
      const engine::Kernel* kernel = dispatch.kernel_for(tokens <= kernels::batch_limit);
      if (!kernel) continue;
      const gpu::BindGroupId group = device.create_bind_group(pipelines[dispatch.kernel.pipeline], ranges);
      const kernels::Grid grid = kernel->grid_for(tokens);
      device.dispatch(pipelines[kernel->pipeline], group, grid.x, grid.y, grid.z);
    }
  };
  device.begin();
  for (const u32 tokens : {plan.options.chunk, std::min(plan.options.chunk, kernels::batch_limit)})
    run(plan.prefill, tokens);
  for (const auto* program : {&plan.decode, &plan.blocks, &plan.adjusted_blocks, &plan.greedy, &plan.sampling})
    run(*program, 1);
  device.submit();
}

// Of a kernel, by its label, which says all that its text depends on.
const std::optional<test::WorkgroupUse>& use_of(const gpu::PipelineDesc& pipeline) {
  static std::map<std::string, std::optional<test::WorkgroupUse>> known;
  const auto [at, fresh] = known.try_emplace(pipeline.label);
  if (fresh) at->second = test::workgroup_use(pipeline.wgsl);
  return at->second;
}

// One profile of each set of limits and features.
std::vector<Profile> distinct_profiles() {
  std::vector<Profile> result;
  std::set<std::vector<u64>> seen;
  for (const Profile& profile : cli::profiles()) {
    const gpu::Limits& l = profile.limits;
    const gpu::Features& f = profile.features;
    const bool fresh = seen.insert({l.max_buffer_size, l.max_storage_buffer_binding_size,
                                    l.max_uniform_buffer_binding_size, l.max_storage_buffers_per_shader_stage,
                                    l.max_compute_workgroup_storage_size, l.max_compute_invocations_per_workgroup,
                                    l.max_compute_workgroup_size_x, l.max_compute_workgroups_per_dimension,
                                    l.min_storage_buffer_offset_alignment, l.min_uniform_buffer_offset_alignment,
                                    u64(f.shader_f16), u64(f.subgroups), f.subgroup_min_size, f.subgroup_max_size})
                           .second;
    if (fresh) result.push_back(profile);
  }
  return result;
}

// The sum of the kinds is what the device counts; none of its rules is broken; workgroups are as small as they must be.
void expect_inside(const GpuPlan& plan, const Profile& profile) {
  gpu::NullDevice device({.limits = profile.limits, .features = profile.features});
  create(plan, device);
  EXPECT_TRUE(device.violations().empty()) << device.violations().front();
  for (u32 kind = 0; kind < gpu::memory_kinds; ++kind)
    EXPECT_EQ(device.counters().bytes[kind], plan.bytes(gpu::MemoryKind(kind)));
  for (const gpu::PipelineDesc& pipeline : plan.pipelines) {
    const auto& use = use_of(pipeline);
    ASSERT_TRUE(use) << pipeline.label;
    EXPECT_LE(use->threads, std::min(profile.limits.max_compute_workgroup_size_x,
                                     profile.limits.max_compute_invocations_per_workgroup))
        << pipeline.label;
    EXPECT_LE(use->bytes, profile.limits.max_compute_workgroup_storage_size) << pipeline.label;
    if (!profile.features.shader_f16) EXPECT_EQ(pipeline.wgsl.find("enable f16"), std::string::npos) << pipeline.label;
    if (!profile.features.subgroups)
      EXPECT_EQ(pipeline.wgsl.find("enable subgroups"), std::string::npos) << pipeline.label;
  }
}

// The refusal speaks of a limit: with more of that, and of nothing else, it is gone.
void expect_right_reason(const models::Model& model, const PlanOptions& options, const Profile& profile,
                         const std::string& refusal) {
  constexpr u64 plenty = u64{1} << 50;
  gpu::Limits more = profile.limits;
  if (refusal.find("workgroups in a row") != refusal.npos) {
    more.max_compute_workgroups_per_dimension = 1u << 31;
  } else if (refusal.find("buffer") != refusal.npos) {
    more.max_buffer_size = plenty;
  } else if (refusal.find("binding") != refusal.npos) {
    more.max_storage_buffer_binding_size = plenty;
  } else {
    ASSERT_NE(refusal.find("for the keys of a layer, over this device's"), refusal.npos) << refusal;
    PlanOptions shorter = options;  // of the binding or of half a buffer, whichever is less
    shorter.context = u32(std::min<u64>(options.context / 2, 8192));
    EXPECT_TRUE(engine::plan_gpu(model, shorter, profile.limits, profile.features)) << refusal;
    more.max_storage_buffer_binding_size = more.max_buffer_size = plenty;
  }
  const auto plan = engine::plan_gpu(model, options, more, profile.features);
  EXPECT_TRUE(plan || plan.error().message != refusal) << refusal;
}

TEST(Profiles, EveryPresetFitsOrIsRefusedForTheRightReason) {
  u32 fitting = 0, refused = 0;
  for (const cli::SynthPreset& preset : cli::synth_presets()) {
    for (const char* format : {"Q4_0", "F16"}) {
      const models::Model model = preset_model(preset, format);
      for (const Profile& profile : distinct_profiles()) {
        for (const u32 context : {4096u, preset.context}) {
          for (const bool scoring : {false, true}) {
            if (scoring && context != 4096) continue;
            SCOPED_TRACE(std::string(preset.name) + " " + format + " on " + profile.name + ", context " +
                         std::to_string(context));
            const PlanOptions options{.context = context, .all_logits = scoring};
            const auto plan = engine::plan_gpu(model, options, profile.limits, profile.features);
            if (plan) expect_inside(*plan, profile);
            if (!plan) expect_right_reason(model, options, profile, plan.error().message);
            if (context == 4096)
              EXPECT_TRUE(plan) << plan.error().message;  // runs everywhere, at WebGPU's default limits too
            ++(plan ? fitting : refused);
          }
        }
      }
    }
  }
  EXPECT_GT(fitting, 100u);
  EXPECT_GT(refused, 10u);
}

// Activations: what is planned is at most 5 % above what is alive at one time. Operations that write beside what they
// read need more buffers, whose peaks need not come together.
TEST(Profiles, ActivationsAreNearTheirLowerBound) {
  for (const cli::SynthPreset& preset : cli::synth_presets()) {
    const models::Model model = preset_model(preset, "Q4_0");
    const bool in_place = model.architecture == "llama" || model.architecture.starts_with("qwen2") ||
                          model.architecture == "qwen3" || model.architecture == "smollm3" ||
                          model.architecture == "granitehybrid";
    for (const Profile& profile : distinct_profiles()) {
      const auto plan = engine::plan_gpu(model, {.context = 4096}, profile.limits, profile.features);
      ASSERT_TRUE(plan) << plan.error().message;
      const double planned = double(plan->bytes(gpu::MemoryKind::activations)),
                   bound = double(plan->activations_lower_bound);
      EXPECT_GT(bound, 0);
      EXPECT_LE(planned, (in_place ? 1.05 : 1.32) * bound) << preset.name << " on " << profile.name;
    }
  }
}

// Bytes of weights that the dispatches of a decode step read at most. `experts`: of matrices that are chosen from; a
// slot of the grid's z reads one of them, whichever part it lies in (MatMulOp.UnchosenExpertsAreNotRead).
struct StepReads {
  u64 dense = 0, experts = 0;
  std::set<const engine::Matrix*> seen;

  void add(const GpuPlan& plan, const engine::Dispatch& dispatch, const gpu::Limits& limits) {
    for (const engine::Matrix& matrix : plan.weights.matrices) {
      for (const engine::MatrixPart& part : matrix.parts) {
        const bool bound = std::any_of(dispatch.bindings.begin(), dispatch.bindings.end(), [&](const auto& range) {
          return range.buffer == part.range.buffer && range.offset == part.range.offset &&
                 range.size == part.range.size;
        });
        if (!bound) continue;
        const kernels::Grid grid = dispatch.kernel.grid_for(1),
                            one = kernels::matvec_grid(matrix.unit + 7, kernels::matvec_tiles(false)[0], 1, limits);
        const std::string& label = plan.pipelines[dispatch.kernel.pipeline].label;
        if (label.starts_with("embed")) {
          dense += part.range.size / part.rows;
        } else if (matrix.unit == 1) {
          dense += part.range.size;
        } else {
          EXPECT_TRUE(label.starts_with("expert_matvec")) << label;
          EXPECT_LE(u64(grid.x) * grid.y, u64(one.x) * one.y);
          if (seen.insert(&matrix).second) experts += grid.z * (part.range.size / (part.rows / matrix.unit));
        }
      }
    }
  }
};

TEST(Profiles, ADecodeStepOfGptOssReadsTheChosenExpertsOnly) {
  const auto presets = cli::synth_presets();
  const auto preset =
      std::find_if(presets.begin(), presets.end(), [](const auto& p) { return p.name == "gpt-oss-20b"; });
  ASSERT_NE(preset, presets.end());
  const models::Model model = preset_model(*preset, "Q4_0");
  constexpr u64 layers = 24, experts = 32, used = 4, width = 2880, hidden = 2880;
  for (const Profile& profile : distinct_profiles()) {
    const auto plan = engine::plan_gpu(model, {.context = 4096}, profile.limits, profile.features);
    ASSERT_TRUE(plan) << plan.error().message;
    StepReads reads;
    for (const engine::Dispatch& dispatch : plan->decode) reads.add(*plan, dispatch, profile.limits);
    EXPECT_EQ(reads.seen.size(), layers * 3);
    u64 all = 0;
    for (const engine::Matrix* matrix : reads.seen) {
      for (const engine::MatrixPart& part : matrix->parts) all += part.range.size;
    }
    // Gate, up and down in Q4_0: 18 bytes for 32 weights, and what binding sizes are rounded up by.
    const u64 one_layer = used * 3 * width * hidden * 18 / 32;
    EXPECT_GE(reads.experts, layers * one_layer) << profile.name;
    EXPECT_LE(double(reads.experts), 1.001 * double(layers * one_layer)) << profile.name;
    EXPECT_NEAR(double(reads.experts) / double(all), double(used) / double(experts), 1e-3);
    EXPECT_LT(reads.dense + reads.experts, plan->weights.bytes() / 4) << profile.name;
  }
}

TEST(Profiles, TheListIsWhole) {
  const auto text = test::read_file(PRONK_SOURCE_DIR "/src/gpu/profiles.json");
  ASSERT_TRUE(text);
  EXPECT_EQ(std::string(text->begin(), text->end()), cli::profiles_text());
  const auto parsed = cli::parse_profiles(cli::profiles_text());
  ASSERT_TRUE(parsed) << parsed.error().message;
  std::set<std::string> names;
  for (const Profile& profile : *parsed) names.insert(profile.name);
  for (const char* name :
       {"webgpu-default", "chrome-default", "firefox-default", "safari-default", "chrome-nvidia", "chrome-amd-rdna",
        "chrome-intel-gen9", "chrome-intel-xe", "chrome-apple-m", "safari-mac", "safari-iphone", "chrome-adreno-6xx",
        "chrome-adreno-7xx", "chrome-mali", "chrome-powervr", "swiftshader", "lavapipe"}) {
    EXPECT_EQ(names.count(name), 1u) << name;
    EXPECT_TRUE(cli::find_profile(name));
  }
  EXPECT_FALSE(cli::find_profile("nothing"));
}

TEST(Profiles, WrongListsAreErrors) {
  const auto error = [](const std::string& fields) {
    const auto parsed = cli::parse_profiles("[{\"name\":\"n\",\"device\":\"d\",\"api\":\"a\"" + fields + "}]");
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_EQ(error(",\"source\":\"s\""), "");
  EXPECT_NE(error("").find("lacks its name, device, api or source"), std::string::npos);
  EXPECT_NE(error(",\"limits\":{\"maxBuffer\":1}").find("'maxBuffer' is unknown"), std::string::npos);
  EXPECT_NE(error(",\"limits\":{\"maxBufferSize\":1000}").find("worse than WebGPU's default"), std::string::npos);
  EXPECT_NE(error(",\"limits\":{\"minStorageBufferOffsetAlignment\":512}").find("worse"), std::string::npos);
  EXPECT_NE(error(",\"limits\":{\"maxStorageBuffersPerShaderStage\":5000000000}").find("no size"), std::string::npos);
  EXPECT_NE(error(",\"features\":[\"f16\"]").find("'f16' is unknown"), std::string::npos);
  EXPECT_NE(error(",\"colour\":1").find("'colour' is wrong or unknown"), std::string::npos);
  EXPECT_FALSE(cli::parse_profiles("{}"));
  EXPECT_FALSE(cli::parse_profiles("[1]"));
}

}  // namespace
}  // namespace pronk
