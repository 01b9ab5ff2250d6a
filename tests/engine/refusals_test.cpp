// What is too large is refused by the plan, in time, and never by loading alone.
#include <gtest/gtest.h>

#include "support/engine_driver.h"

namespace pronk {
namespace {

using test::ModelSpec;

Result<Plan> planned(const test::SharedModel& model, const LoadOptions& options, const gpu::Limits* limits) {
  const gpu::Features features;
  return model->plan(options, limits, limits ? &features : nullptr);
}

void expect_text(const std::string& text, std::string_view part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

// Planning it by cutting it into what a binding holds took 20 s.
TEST(Refusals, AHeaderThatClaimsHundredsOfTerabytes) {
  const std::vector<u8> header = test::model_header(
      {.layers = 1, .width = 1 << 20, .feed_forward = 1 << 24, .heads = 4, .kv_heads = 2, .dim = 16});
  const auto model = test::open_header(header);
  ASSERT_TRUE(model) << model.error().message;
  const gpu::Limits limits;
  const auto plan = planned(*model, {}, &limits);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_FALSE(plan->fits());
  expect_text(plan->refusal, "the weights take 211108308713472 bytes");
  expect_text(plan->refusal, ", more than 4096 of this device's bindings of 134217728 bytes hold");
  EXPECT_GT(plan->memory.weights, 200'000'000'000'000u);  // the figures are there all the same
  const auto engine = Engine::create(*model, {}, std::make_unique<gpu::NullDevice>());
  ASSERT_FALSE(engine);
  expect_text(engine.error().message, "the weights take ");
}

// Rows that are padded on their way to the device go through the loader's buffer whole.
TEST(Refusals, RowsTooLongToLoadAreRefusedByThePlan) {
  const std::vector<u8> header = test::model_header({.layers = 1, .width = 600'004, .matrix = "F16"});
  const auto model = test::open_header(header);
  ASSERT_TRUE(model) << model.error().message;
  gpu::Limits limits;
  limits.max_buffer_size = limits.max_storage_buffer_binding_size = u64{4} << 30;
  const auto plan = planned(*model, {.context = 64}, &limits);
  ASSERT_TRUE(plan) << plan.error().message;
  expect_text(plan->refusal, "' has rows too long to load");
  EXPECT_GT(plan->memory.weights, 0u);
  const auto on_cpu = planned(*model, {.context = 64}, nullptr);  // there nothing is padded
  ASSERT_TRUE(on_cpu) << on_cpu.error().message;
  EXPECT_TRUE(on_cpu->fits()) << on_cpu->refusal;
}

// Odd models on odd devices: what the plan lets through is created, what it refuses is refused with the same words.
TEST(Refusals, ThePlanAndLoadingAgree) {
  u32 fitting = 0, refused = 0;
  std::mt19937 random(3);
  const auto one_of = [&](std::initializer_list<u64> values) { return *(values.begin() + random() % values.size()); };
  for (u32 round = 0; round < 140; ++round) {
    const bool small = round % 2 == 0;  // small models fit, if anything does
    const auto size = [&](std::initializer_list<u64> fit, std::initializer_list<u64> odd) {
      return u32(one_of(small ? fit : odd));
    };
    ModelSpec spec{.arch = std::array{"llama", "qwen2", "qwen3"}[random() % 3],
                   .layers = u32(one_of({1, 2, 7})),
                   .width = size({32, 256}, {256, 4096, 300'004, 600'004, 1 << 20}),
                   .feed_forward = size({32, 100}, {100, 70'000, 1 << 22}),
                   .vocab = size({300}, {300, 70'000, 1 << 23}),
                   .heads = size({2, 8}, {2, 8, 4096}),
                   .kv_heads = u32(one_of({1, 2})),
                   .dim = u32(one_of({4, 64, 256})),
                   .context = size({1, 40, 5000}, {40, 5000, 1 << 20}),
                   .tied = random() % 2 == 0,
                   .matrix = std::array{"F32", "F16", "Q8_0", "Q4_0"}[random() % 4]};
    if (spec.matrix.starts_with("Q")) spec.width = u32(align_up(spec.width, 32)), spec.feed_forward = 64;
    if (spec.matrix.starts_with("Q")) spec.dim = 64;
    const auto model = test::open_header(test::model_header(spec));
    ASSERT_TRUE(model) << model.error().message;
    gpu::Limits limits;
    limits.max_buffer_size = one_of({1 << 16, 1 << 20, 1 << 28, u64{1} << 32});
    limits.max_storage_buffer_binding_size = std::min(limits.max_buffer_size, one_of({1 << 14, 1 << 20, 1 << 27}));
    limits.max_compute_workgroups_per_dimension = u32(one_of({100, 65535}));
    const LoadOptions options{.context = u32(one_of({0, 1, 1000})),
                              .largest_context = random() % 4 == 0,
                              .budget = one_of({0, 0, 1 << 20, u64{1} << 33}),
                              .kv = graph::KvType::f16,
                              .scoring = random() % 4 == 0};
    const auto plan = planned(*model, options, &limits);
    ASSERT_TRUE(plan) << plan.error().message;
    const auto engine =
        Engine::create(*model, options, std::make_unique<gpu::NullDevice>(gpu::NullOptions{.limits = limits}));
    EXPECT_EQ(engine.has_value(), plan->fits()) << plan->refusal;
    if (!engine) EXPECT_EQ(engine.error().message, plan->refusal);
    if (engine) EXPECT_EQ((*engine)->planned(), plan->memory);
    ++(engine ? fitting : refused);
  }
  EXPECT_GT(fitting, 20u);
  EXPECT_GT(refused, 20u);
}

}  // namespace
}  // namespace pronk
