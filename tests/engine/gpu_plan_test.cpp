// Plans: what is planned is what is allocated, nothing breaks a device's limits, and refusals say what would fit.
#include "engine/gpu_plan.h"

#include <gtest/gtest.h>

#include "engine/op_case.h"
#include "support/engine_driver.h"

namespace pronk {
namespace {

using gpu::MemoryKind;
using test::ModelSpec;
using test::NullEngine;

gpu::Limits low_limits(u64 binding, u64 buffer) {
  gpu::Limits limits;
  limits.max_storage_buffer_binding_size = binding;
  limits.max_buffer_size = buffer;
  return limits;
}

// Prefills several chunks and decodes, greedy and not; the null device's own rules must all have held.
void run_once(NullEngine& e) {
  const u32 room = e.engine->plan().context;
  const u32 vocab = e.engine->model().vocab_size();
  *e.sampled = [vocab] { return vocab - 1; };
  const graph::SamplingParams sampling{.temperature = 1, .top_k = 50, .top_p = 0.9f};
  const auto prompt = test::some_tokens(std::min(room - 4, 300u), 3, vocab);
  ASSERT_TRUE(test::generate(*e.engine, prompt, {.max_tokens = 3}));
  ASSERT_TRUE(test::generate(*e.engine, std::vector<u32>{vocab - 1}, {.max_tokens = 3, .sampling = sampling}));
  EXPECT_TRUE(e.device->violations().empty()) << e.device->violations().front();
}

// Plan, engine and device agree to the byte, by kind.
void expect_as_planned(const NullEngine& e, const LoadOptions& options) {
  const auto plan = e.engine->model().plan(options, &e.device->limits(), &e.device->features());
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->memory, e.engine->planned());
  EXPECT_EQ(plan->memory, e.engine->allocated());
  const auto& bytes = e.device->counters().bytes;
  EXPECT_EQ(plan->memory.weights, bytes[u32(MemoryKind::weights)]);
  EXPECT_EQ(plan->memory.kv_cache, bytes[u32(MemoryKind::kv_cache)]);
  EXPECT_EQ(plan->memory.activations, bytes[u32(MemoryKind::activations)]);
  EXPECT_EQ(plan->memory.parameters, bytes[u32(MemoryKind::parameters)]);
  EXPECT_EQ(plan->memory.readback, bytes[u32(MemoryKind::readback)]);
  EXPECT_GT(plan->memory.staging, 0u);
  for (const u64 kind : bytes) EXPECT_GT(kind, 0u);
}

void expect_good(ModelSpec spec, const LoadOptions& options = {}, const gpu::NullOptions& null = {}) {
  spec.zeros = true;
  SCOPED_TRACE(spec.arch + " " + spec.matrix + " vocab " + std::to_string(spec.vocab) + " heads " +
               std::to_string(spec.heads) + "/" + std::to_string(spec.kv_heads) + " of " + std::to_string(spec.dim) +
               " context " + std::to_string(options.context));
  auto e = NullEngine::load(test::model_files(spec), options, null);
  ASSERT_TRUE(e) << e.error().message;
  expect_as_planned(*e, options);
  run_once(*e);
}

TEST(GpuPlan, EqualsTheAllocation) {
  for (const auto kv : {graph::KvType::f16, graph::KvType::f32}) {
    for (const u32 context : {0u, 1u, 5u, 64u, 65u, 3000u}) {
      for (const bool scoring : {false, true}) {
        const LoadOptions options{.context = context, .kv = kv, .scoring = scoring};
        auto e = NullEngine::load(test::model_files({.zeros = true}), options);
        ASSERT_TRUE(e) << e.error().message;
        EXPECT_EQ(e->engine->plan().context, context == 0 ? 512u : context);
        expect_as_planned(*e, options);
      }
    }
  }
}

std::shared_ptr<const kernels::Tuning> split_gemms() {
  auto tuning = std::make_shared<kernels::Tuning>();
  tuning->fall_back("gemm *", "64x128/4");
  return tuning;
}

// Products whose k is split have partial sums, for which the plan knows the bytes, and are two dispatches for more
// tokens than batch_limit.
TEST(GpuPlan, EqualsTheAllocationWithSplits) {
  const ModelSpec spec{.layers = 2, .width = 256, .feed_forward = 544, .bias = true, .zeros = true};
  struct Seen {
    u64 activations = 0, many = 0, few = 0;  // bytes; dispatches for 32 tokens and a step, and for 16
  };
  const auto seen = [&](const LoadOptions& options) {
    Seen result;
    auto e = NullEngine::load(test::model_files(spec), options);
    EXPECT_TRUE(e) << e.error().message;
    if (!e) return result;
    expect_as_planned(*e, options);
    result.activations = e->engine->allocated().activations;
    for (u64* count : {&result.many, &result.few}) {
      const std::size_t before = e->device->submissions().size();
      const u32 prompt = count == &result.many ? 33 : 17;
      EXPECT_TRUE(test::generate(*e->engine, test::some_tokens(prompt, 3, spec.vocab), {.max_tokens = 1}));
      for (const auto& submission : std::span(e->device->submissions()).subspan(before))
        *count += submission.dispatches.size();
    }
    run_once(*e);
    return result;
  };
  const Seen whole = seen({.context = 300}), split = seen({.context = 300, .tuning = split_gemms()});
  EXPECT_GT(split.activations, whole.activations);
  EXPECT_EQ(split.many,
            whole.many + 4 + 1);  // the products of a layer; of the last one only keys and values are wanted
  EXPECT_EQ(split.few, whole.few);
}

TEST(GpuPlan, SplitsAreMadeOfAGemmAndWhatCombinesItsSums) {
  const auto files = test::model_files({.layers = 1, .width = 256, .feed_forward = 544, .bias = true, .zeros = true});
  const auto header = files::parse_gguf(files[0], files[0].size());
  const auto model = models::read_model(*header->gguf);
  ASSERT_TRUE(model) << model.error().message;
  const auto plan = engine::plan_gpu(*model, {.context = 300, .all_logits = true, .tuning = split_gemms()}, {}, {});
  ASSERT_TRUE(plan) << plan.error().message;
  const auto label = [&](const engine::Dispatch& dispatch) {
    return std::string_view(plan->pipelines[dispatch.kernel.pipeline].label);
  };
  u32 split = 0;
  for (std::size_t i = 0; i < plan->prefill.size(); ++i) {
    if (!label(plan->prefill[i]).starts_with("gemm")) {
      EXPECT_EQ(plan->prefill[i].tokens, engine::Tokens::any);
      continue;
    }
    ++split;
    ASSERT_LT(i + 2, plan->prefill.size());
    const engine::Dispatch &gemm = plan->prefill[i], &combine = plan->prefill[i + 1], &few = plan->prefill[i + 2];
    i += 2;
    EXPECT_NE(label(gemm).find("SPLITS=4"), std::string_view::npos) << label(gemm);
    EXPECT_TRUE(label(combine).starts_with("gemm_combine")) << label(combine);
    EXPECT_TRUE(label(few).starts_with("matvec")) << label(few);
    EXPECT_EQ(gemm.tokens, engine::Tokens::many);
    EXPECT_EQ(combine.tokens, engine::Tokens::many);
    EXPECT_EQ(few.tokens, engine::Tokens::few);
    EXPECT_EQ(gemm.kernel.grid_for(32).z, 4u);
    EXPECT_EQ(combine.kernel.grid_for(32).y, 32u);
    const engine::Range &written = gemm.bindings[7], &read = combine.bindings[2];
    EXPECT_TRUE(written.buffer == read.buffer && written.offset == read.offset && written.size == read.size);
    EXPECT_EQ(combine.bindings.back().offset, few.bindings[7].offset);
    const auto params = std::ranges::find(plan->constants, gemm.bindings[0].offset,
                                          [](const auto& constant) { return constant.first.offset; });
    ASSERT_NE(params, plan->constants.end());
    kernels::MatMulParams p;
    std::memcpy(&p, params->second.data(), sizeof p);
    const bool gated = label(few).find("GATED") != std::string_view::npos;
    EXPECT_EQ(written.size, kernels::gemm_partial_bytes(4, gated ? 2 * p.rows : p.rows, plan->options.chunk));
  }
  EXPECT_EQ(split, 5u);
}

TEST(GpuPlan, EqualsTheAllocationOnTheCpu) {
  for (const auto kv : {graph::KvType::f16, graph::KvType::f32}) {
    const LoadOptions options{.context = 77, .kv = kv};
    auto engine = test::load(test::model_files({.matrix = "Q8_0"}), options, nullptr);
    ASSERT_TRUE(engine) << engine.error().message;
    const auto plan = (*engine)->model().plan(options, nullptr, nullptr);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->memory, (*engine)->planned());
    EXPECT_EQ(plan->memory, (*engine)->allocated());
  }
}

TEST(GpuPlan, ArchitecturesAndHeadShapesWithinDefaultLimits) {
  constexpr u32 groups[] = {1, 2, 3, 4, 7, 8, 16};
  u32 round = 0;
  for (const char* arch : {"llama", "qwen2", "qwen3"}) {
    for (const u32 dim : {4u, 8u, 12u, 64u, 80u, 128u, 256u}) {
      for (const u32 kv_heads : {1u, 2u}) {
        const u32 group = groups[round % std::size(groups)];
        expect_good({.arch = arch,
                     .layers = 1 + round % 2,
                     .heads = kv_heads * group,
                     .kv_heads = kv_heads,
                     .dim = dim,
                     .rotated = round % 3 == 0 ? dim / 2 : dim,
                     .tied = round % 2 == 0,
                     .factors = round % 4 == 0},
                    {.context = 40 + 37 * round, .kv = round % 5 == 0 ? graph::KvType::f32 : graph::KvType::f16});
        ++round;
      }
    }
  }
}

TEST(GpuPlan, GroupsOfQueryHeads) {
  for (const u32 group : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 12u, 16u, 40u}) {
    expect_good({.layers = 1, .heads = group, .kv_heads = 1, .dim = 128}, {.context = 400});
  }
}

TEST(GpuPlan, VocabulariesWidthsAndFormats) {
  for (const u32 vocab : {300u, 1023u, 1025u, 32000u, 151936u, 260000u}) {
    for (const bool tied : {true, false}) expect_good({.layers = 1, .vocab = vocab, .tied = tied, .matrix = "Q4_0"});
  }
  for (const char* format : {"F32", "F16", "BF16"}) {
    expect_good({.width = 52, .feed_forward = 75, .heads = 3, .kv_heads = 1, .dim = 20, .matrix = format});
  }
  for (const char* format : {"Q8_0", "Q4_0"}) {
    expect_good({.width = 96, .feed_forward = 160, .matrix = format});
    expect_good({.width = 32, .feed_forward = 33, .matrix = format, .formats = {{"ffn_down", "F16"}}});
    expect_good({.width = 32,
                 .feed_forward = 35,
                 .heads = 3,
                 .kv_heads = 1,
                 .dim = 12,
                 .matrix = format,
                 .formats = {{"ffn_down", "BF16"}, {"attn_output", "F32"}, {"attn_v", "F16"}}});
  }
  expect_good(
      {.layers = 2, .width = 4096, .feed_forward = 14336, .heads = 32, .kv_heads = 8, .dim = 128, .matrix = "Q4_0"},
      {.context = 4096});
}

// Small limits: embedding, output, gate and up, down and qkv are all cut; weights take several buffers.
TEST(GpuPlan, LowLimitsCutMatrices) {
  for (const char* arch : {"llama", "qwen2", "qwen3"}) {
    for (const char* format : {"F32", "F16", "Q8_0", "Q4_0"}) {
      for (const bool tied : {true, false}) {
        const ModelSpec spec{.arch = arch,
                             .width = 256,
                             .feed_forward = 544,
                             .vocab = 1003,
                             .heads = 6,
                             .kv_heads = 2,
                             .dim = 32,
                             .tied = tied,
                             .matrix = format};
        const gpu::NullOptions null{.limits = low_limits(30000, 90000)};
        expect_good(spec, {.context = 64}, null);
        const auto plan = NullEngine::load(test::model_files(spec), {.context = 64}, null);
        ASSERT_TRUE(plan) << plan.error().message;
        u32 weight_buffers = 0;
        for (u32 id = 1; id <= plan->device->counters().buffers_created; ++id) {
          weight_buffers += plan->device->buffer(gpu::BufferId(id)).desc.kind == MemoryKind::weights;
        }
        EXPECT_GT(weight_buffers, 3u);
      }
    }
  }
}

TEST(GpuPlan, GridsStayWithinTheirLimit) {
  gpu::NullOptions null;
  null.limits.max_compute_workgroups_per_dimension = 300;
  expect_good({.layers = 1, .vocab = 9001}, {.context = 300}, null);
}

// Gemma's vocabulary: 16,384 groups of sixteen rows, one more than fit in a row here.
TEST(GpuPlan, AVocabularyOverARowOfWorkgroupsIsFolded) {
  const ModelSpec spec{.layers = 1, .width = 32, .vocab = 262144, .matrix = "Q4_0", .zeros = true};
  const auto files = test::model_files(spec);
  const auto header = files::parse_gguf(files[0], files[0].size());
  const auto model = models::read_model(*header->gguf);
  ASSERT_TRUE(model) << model.error().message;
  gpu::Limits limits;
  limits.max_compute_workgroups_per_dimension = 16383;
  const auto plan = engine::plan_gpu(*model, {.context = 16}, limits, {});
  ASSERT_TRUE(plan) << plan.error().message;
  const kernels::Grid grid = plan->decode.back().kernel.grid;
  EXPECT_LE(grid.x, 16383u);
  EXPECT_EQ(grid.y, 2u);
  const auto params = std::find_if(plan->constants.begin(), plan->constants.end(), [&](const auto& constant) {
    return constant.first.offset == plan->decode.back().bindings[0].offset;
  });
  ASSERT_NE(params, plan->constants.end());
  kernels::MatMulParams p;
  std::memcpy(&p, params->second.data(), sizeof p);
  EXPECT_EQ(p.rows, 262144u);
}

// A GEMM of so few rows would leave its sums to few workgroups: a prompt of any length takes the kernel for few tokens,
// whose lanes share them.
TEST(GpuPlan, NarrowProductsOfAPromptAreNoGemms) {
  const ModelSpec spec{.layers = 2, .zeros = true};
  const auto files = test::model_files(spec);
  const auto header = files::parse_gguf(files[0], files[0].size());
  const auto model = models::read_model(*header->gguf);
  ASSERT_TRUE(model) << model.error().message;
  const auto plan = engine::plan_gpu(*model, {.context = 300}, {}, {});
  ASSERT_TRUE(plan) << plan.error().message;
  u32 narrow = 0, wide = 0;
  for (const engine::Dispatch& dispatch : plan->prefill) {
    const std::string_view label = plan->pipelines[dispatch.kernel.pipeline].label;
    const bool few = label.starts_with("matvec"), many = label.starts_with("gemm");
    if (!few && !many) continue;
    const auto params = std::ranges::find(plan->constants, dispatch.bindings[0].offset,
                                          [](const auto& constant) { return constant.first.offset; });
    ASSERT_NE(params, plan->constants.end());
    kernels::MatMulParams p;
    std::memcpy(&p, params->second.data(), sizeof p);
    EXPECT_EQ(few, p.rows <= kernels::narrow_rows) << label << ", " << p.rows;
    EXPECT_EQ(dispatch.small_batch.has_value(), many);
    EXPECT_EQ(dispatch.kernel.grid_for(200).z, few ? 50u : 1u);
    few ? ++narrow : ++wide;
  }
  EXPECT_GT(narrow, 0u);
  EXPECT_GT(wide, 0u);
}

// What is compiled says nothing of what its constants never run, in plans and in cases of operations.
TEST(GpuPlan, TextsAreFolded) {
  const auto files = test::model_files({.zeros = true});
  const auto header = files::parse_gguf(files[0], files[0].size());
  ASSERT_TRUE(header && header->gguf);
  const auto model = models::read_model(*header->gguf);
  ASSERT_TRUE(model);
  const auto plan = engine::plan_gpu(*model, {.context = 64}, gpu::Limits{}, {});
  ASSERT_TRUE(plan);
  const kernels::MatMulKind kind{.format = formats::find("Q8_0")};
  const engine::OpCase c =
      engine::matmul_case({.kind = kind, .rows = 8, .cols = 32, .tokens = 1}, gpu::Limits{}, {}, 1);
  std::vector<gpu::PipelineDesc> all = plan->pipelines;
  all.push_back(c.steps.front().kernel);
  u32 without_norm = 0;
  for (const gpu::PipelineDesc& each : all) {
    if (!each.wgsl.contains("const NORM = false;")) continue;
    ++without_norm;
    EXPECT_FALSE(each.wgsl.contains("if (NORM)")) << each.label;
  }
  EXPECT_GT(without_norm, 1u);
  EXPECT_TRUE(all.back().wgsl.contains("const NORM = false;"));
}

TEST(GpuPlan, SubgroupVariantsAreWithinTheRulesToo) {
  gpu::NullOptions null;
  null.features = {.shader_f16 = true, .subgroups = true, .subgroup_min_size = 4, .subgroup_max_size = 128};
  expect_good({}, {}, null);
}

// ---- Refusals

std::string refusal(const ModelSpec& spec, const LoadOptions& options, const gpu::Limits& limits) {
  const auto model = test::make_model(spec);
  const gpu::Features features;
  const auto plan = model->plan(options, &limits, &features);
  const auto engine = NullEngine::create(model, options, {.limits = limits});
  EXPECT_EQ(plan && plan->fits(), engine.has_value());
  if (engine) return "";
  const std::string message = plan ? plan->refusal : plan.error().message;
  EXPECT_EQ(message, engine.error().message);
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

// The number before " tokens would fit" in a refusal.
u32 offered(const std::string& message) {
  const std::size_t end = message.find(" tokens would fit"), begin = message.rfind(' ', end - 1);
  EXPECT_NE(end, message.npos) << message;
  return end == message.npos ? 0 : u32(std::stoul(message.substr(begin)));
}

TEST(Refusal, ContextThatDoesNotFitNamesTheOneThatDoes) {
  const ModelSpec spec{.heads = 8, .kv_heads = 8, .dim = 128, .context = 1u << 20, .zeros = true};
  for (const auto kv : {graph::KvType::f16, graph::KvType::f32}) {
    const std::string message = refusal(spec, {.context = 1u << 20, .kv = kv}, {});
    ASSERT_TRUE(message.starts_with("context length 1048576 needs ")) << message;
    const u32 fits = offered(message);
    EXPECT_EQ(refusal(spec, {.context = fits, .kv = kv}, {}), "");
    EXPECT_NE(refusal(spec, {.context = fits + 1, .kv = kv}, {}), "");
  }
}

TEST(Refusal, OverTheBudgetSaysWhatWouldFit) {
  const ModelSpec spec{.heads = 8, .kv_heads = 8, .dim = 64, .context = 5000, .zeros = true};
  const auto model = test::make_model(spec);
  for (const bool gpu : {true, false}) {
    const gpu::Limits limits;
    const gpu::Features features;
    const auto plan_of = [&](const LoadOptions& options) {
      return model->plan(options, gpu ? &limits : nullptr, gpu ? &features : nullptr).value();
    };
    const Plan whole = plan_of({.context = 4000});
    EXPECT_TRUE(whole.fits());
    EXPECT_EQ(whole.largest_context, 5000u);
    EXPECT_TRUE(plan_of({.context = 4000, .budget = whole.memory.total()}).fits());
    const Plan refused = plan_of({.context = 4000, .budget = whole.memory.total() - 1});
    EXPECT_FALSE(refused.fits());
    EXPECT_EQ(refused.memory, whole.memory);
    EXPECT_NE(refused.refusal.find("KV cache of 8 bits"), std::string::npos) << refused.refusal;
    EXPECT_EQ(offered(refused.refusal), refused.largest_context);
    // One token less fits than what does not, and "the largest" takes it.
    const u64 budget = whole.memory.total() * 2 / 3;
    const Plan largest = plan_of({.largest_context = true, .budget = budget});
    EXPECT_TRUE(largest.fits());
    EXPECT_EQ(largest.context, largest.largest_context);
    EXPECT_LE(largest.memory.total(), budget);
    EXPECT_GT(plan_of({.context = largest.context + 1}).memory.total(), budget);
    const Plan nothing = plan_of({.context = 100, .budget = 1000});
    EXPECT_EQ(nothing.largest_context, 0u);
    EXPECT_TRUE(nothing.refusal.ends_with("; no shorter context would fit either")) << nothing.refusal;
    EXPECT_FALSE(plan_of({.largest_context = true, .budget = 1000}).fits());
  }
}

TEST(Refusal, AbsurdContext) {
  EXPECT_EQ(refusal({.zeros = true}, {.context = (1u << 24) + 1}, {}), "context length 16777217 is absurd");
  EXPECT_EQ(refusal({.zeros = true}, {.context = ~0u}, {}), "context length 4294967295 is absurd");
}

TEST(Refusal, RowsAndActivationsTooLongForABinding) {
  EXPECT_NE(refusal({.width = 1024, .feed_forward = 32, .zeros = true}, {.context = 16}, low_limits(8192, 65536))
                .find("token_embd.weight"),
            std::string::npos);
  EXPECT_NE(refusal({.vocab = 5000, .zeros = true}, {.context = 16}, low_limits(16384, 65536)).find("16384"),
            std::string::npos);
  EXPECT_NE(refusal({.zeros = true}, {.context = 16, .scoring = true}, low_limits(1024, 65536)), "");
}

}  // namespace
}  // namespace pronk
