// The tuner on a device that computes nothing and whose clock tells what each kernel is made to cost.
#include "tune/tuner.h"

#include <gtest/gtest.h>

#include <set>

#include "gpu/null.h"
#include "models/model.h"
#include "support/engine_driver.h"
#include "support/engine_model.h"

namespace pronk::tune {
namespace {

using kernels::TunedKernel;

// Kernel "k3" is candidate 3; what a run of it takes is costs[3], longer and longer with drift.
struct Bench {
  std::vector<double> costs;
  double drift = 0;  // a millisecond
  double clock_ms = 1;
  std::size_t seen = 0;
  std::map<u32, u32> runs;
  std::unique_ptr<gpu::NullDevice> device;

  explicit Bench(std::vector<double> each, gpu::NullOptions options = {}) : costs(std::move(each)) {
    options.now_ms = [this] { return now(); };
    device = std::make_unique<gpu::NullDevice>(std::move(options));
  }

  double now() {
    for (; device && seen < device->submissions().size(); ++seen) {
      for (const auto& dispatch : device->submissions()[seen].dispatches) {
        const u32 candidate = u32(std::stoul(device->pipeline(dispatch.pipeline).desc.label.substr(1)));
        clock_ms += costs[candidate] * (1 + drift * clock_ms);
        ++runs[candidate];
      }
    }
    return clock_ms;
  }
};

engine::OpStep step_of(u32 candidate) {
  return {{"k" + std::to_string(candidate), "@compute", {gpu::BindingType::storage_read_write}}, {0}, {}};
}

Problem problem(u32 candidates, std::optional<u32> wrong = {}, std::string key = "matvec F32 1x1") {
  Problem p{.kernel = TunedKernel::matvec, .key = std::move(key)};
  for (u32 i = 0; i < candidates; ++i) p.candidates.push_back(i);
  p.check = [wrong](u32 candidate) {
    engine::OpCase c{.op = "k", .memory = {std::vector<u8>(16)}, .steps = {step_of(candidate)}};
    if (candidate == wrong)
      c.answers.push_back({.memory = 0, .values = {1, 1, 1, 1}, .match = {4, engine::OpAnswer::Match::near}});
    return c;
  };
  p.timing = [](std::span<const u32> some) {
    engine::OpCase c{.op = "k", .memory = {std::vector<u8>(16)}};
    for (const u32 candidate : some) c.steps.push_back(step_of(candidate));
    return c;
  };
  return p;
}

Verdict run(Tuner& tuner) {
  for (u32 i = 0; i < 10000 && !tuner.done(); ++i) {
    const Status status = tuner.pump();
    EXPECT_TRUE(status) << status.error().message;
  }
  EXPECT_TRUE(tuner.done());
  return tuner.verdicts().empty() ? Verdict{} : tuner.verdicts().front();
}
Verdict tuned(Bench& bench, u32 candidates, std::optional<u32> wrong = {}) {
  Tuner tuner({problem(candidates, wrong)}, *bench.device, 60);
  return run(tuner);
}
std::string name(u32 candidate) { return kernels::candidate_name(TunedKernel::matvec, candidate); }

TEST(Tuner, TheFastestIsChosen) {
  Bench bench({10, 8, 5, 20});
  Tuner tuner({problem(4)}, *bench.device, 60);
  const Verdict verdict = run(tuner);
  EXPECT_EQ(verdict.chosen, name(2));
  EXPECT_EQ(verdict.standard, name(0));
  EXPECT_NEAR(verdict.standard_us, 10000, 1);
  EXPECT_NEAR(verdict.chosen_us, 5000, 1);
  ASSERT_EQ(tuner.tuning().choices().size(), 1u);
  EXPECT_EQ(tuner.tuning().choices()[0].candidate, name(2));
}

TEST(Tuner, ALittleGainKeepsTheDefault) {
  Bench bench({10, 9.8});
  EXPECT_EQ(tuned(bench, 2).chosen, name(0));
}

// One candidate after the other, each to its end, would make of the second 16 ms and more.
// A GEMM that splits k is two steps, which count both; those behind it are found all the same.
TEST(Tuner, StepsOfACandidateAreTimedTogether) {
  u32 split = 0;
  while (kernels::gemm_tiles()[split].splits == 1) ++split;
  const auto chosen = [&](double split_cost, double last_cost) {
    Bench bench(std::vector<double>(split + 3, 10));
    bench.costs[split] = split_cost, bench.costs[split + 1] = split_cost, bench.costs[split + 2] = last_cost;
    Problem p = problem(1);
    p.kernel = TunedKernel::gemm;
    p.candidates = {0, split, 1};
    const auto with_steps = [](std::initializer_list<u32> steps) {
      engine::OpCase c{.op = "k", .memory = {std::vector<u8>(16)}};
      for (const u32 step : steps) c.steps.push_back(step_of(step));
      return c;
    };
    p.check = [&](u32 candidate) {
      return candidate == split ? with_steps({split, split + 1}) : with_steps({candidate == 0 ? 0 : split + 2});
    };
    p.timing = [&](std::span<const u32> some) {
      EXPECT_EQ(some.size(), 3u);
      return with_steps({0, split, split + 1, split + 2});
    };
    Tuner tuner({p}, *bench.device, 60);
    const Verdict verdict = run(tuner);
    EXPECT_EQ(verdict.measured, 3u);
    return std::pair(verdict.chosen, verdict.chosen_us);
  };
  const auto name_of = [](u32 candidate) { return kernels::candidate_name(TunedKernel::gemm, candidate); };
  const auto by_split = chosen(4, 9), by_default = chosen(6, 10), by_last = chosen(6, 7);
  EXPECT_EQ(by_split.first, name_of(split));
  EXPECT_NEAR(by_split.second, 8000, 1);
  EXPECT_EQ(by_default.first, name_of(0));
  EXPECT_EQ(by_last.first, name_of(1));
  EXPECT_NEAR(by_last.second, 7000, 1);
}

TEST(Tuner, ADeviceThatSlowsDownSlowsAllDown) {
  Bench bench({10, 8});
  bench.drift = 0.01;
  EXPECT_EQ(tuned(bench, 2).chosen, name(1));
  EXPECT_GT(1 + bench.drift * bench.now(), 2);
}

TEST(Tuner, ShortKernelsRunManyTimes) {
  Bench bench({0.01, 0.02});
  EXPECT_EQ(tuned(bench, 2).chosen, name(0));
  EXPECT_GT(bench.runs[0], 1000u);
}

TEST(Tuner, SlowCandidatesAreLeftOutSoon) {
  Bench bench({10, 40, 11});
  tuned(bench, 3);
  EXPECT_LT(bench.runs[1], bench.runs[0]);
  EXPECT_EQ(bench.runs[2], bench.runs[0]);
}

TEST(Tuner, WhatComputesWronglyIsNeverChosen) {
  Bench bench({10, 1, 9});
  const Verdict verdict = tuned(bench, 3, 1);
  EXPECT_EQ(verdict.chosen, name(2));
  EXPECT_EQ(verdict.refused, 1u);
  EXPECT_EQ(bench.runs[1], 1u);  // the check
}

TEST(Tuner, WhatDoesNotCompileIsNeverChosen) {
  Bench bench({10, 1, 9}, {.complete_pipelines = false});
  Tuner tuner({problem(3)}, *bench.device, 60);
  for (u32 i = 0; i < 1000 && !tuner.done(); ++i) {
    EXPECT_TRUE(tuner.pump());
    const auto last = gpu::PipelineId(bench.device->counters().pipelines_created);
    if (bench.device->pending_pipelines() == 0) continue;
    if (bench.device->pipeline(last).desc.label == "k1") {
      bench.device->fail_pipeline(last, "no");
    } else {
      bench.device->complete_pipelines();
    }
  }
  ASSERT_TRUE(tuner.done());
  EXPECT_EQ(tuner.verdicts()[0].chosen, name(2));
  EXPECT_EQ(tuner.verdicts()[0].refused, 1u);
}

TEST(Tuner, KeepsToItsTime) {
  Bench bench({10, 10});
  std::vector<Problem> many;
  for (u32 i = 0; i < 20; ++i) many.push_back(problem(2, {}, "matvec F32 " + std::to_string(i) + "x1"));
  Tuner tuner(std::move(many), *bench.device, 0.2);
  run(tuner);
  EXPECT_LT(bench.now(), 300);
  EXPECT_LT(tuner.tuning().choices().size(), 20u);  // what there was no time for keeps its default
}

TEST(Tuner, ALostDeviceEndsIt) {
  Bench bench({10, 9}, {.complete_work = false});
  Tuner tuner({problem(2)}, *bench.device, 60);
  ASSERT_TRUE(tuner.pump());
  ASSERT_TRUE(tuner.pump());
  bench.device->lose("gone");
  const Status status = tuner.pump();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::device_lost);
}

// A plan takes what was chosen under the keys of the problems: each of them has to change it.
TEST(TuningProblems, AreWhatAPlanAsksFor) {
  const auto files = test::model_files({.arch = "qwen2", .context = 64, .matrix = "Q8_0"});
  const auto header = files::parse_gguf(files[0], files[0].size());
  ASSERT_TRUE(header && header->gguf);
  const auto model = models::read_model(*header->gguf);
  ASSERT_TRUE(model);
  const gpu::Limits limits;
  const gpu::Features features{.subgroups = true};
  const auto labels = [&](std::shared_ptr<const kernels::Tuning> tuning) {
    const auto plan = engine::plan_gpu(*model, {.context = 64, .tuning = std::move(tuning)}, limits, features);
    std::string all;
    for (const gpu::PipelineDesc& kernel : plan->pipelines) all += kernel.label + "\n";
    return all;
  };
  const auto plan = engine::plan_gpu(*model, {.context = 64}, limits, features);
  ASSERT_TRUE(plan);
  const auto all = problems(*model, *plan, limits, features);
  std::set<TunedKernel> kinds;
  for (const Problem& problem : all) {
    SCOPED_TRACE(problem.key);
    kinds.insert(problem.kernel);
    ASSERT_GT(problem.candidates.size(), 1u);
    EXPECT_EQ(problem.candidates[0], kernels::default_candidate(problem.kernel, features));
    bool changed = false;  // some candidates of attention come to the same for a model of few heads
    for (const u32 candidate : problem.candidates) {
      auto tuning = std::make_shared<kernels::Tuning>();
      tuning->choose(problem.key, kernels::candidate_name(problem.kernel, candidate));
      changed = changed || labels(tuning) != labels(nullptr);
    }
    EXPECT_TRUE(changed);
    const engine::OpCase timing = problem.timing(problem.candidates), check = problem.check(problem.candidates[1]);
    u32 steps = 0;
    for (const u32 candidate : problem.candidates) steps += problem.steps_of(candidate);
    EXPECT_EQ(timing.steps.size(), steps);
    EXPECT_FALSE(check.answers.empty());
    // What is measured is what has been checked.
    const std::string& measured = timing.steps[problem.steps_of(problem.candidates[0])].kernel.label;
    EXPECT_TRUE(std::any_of(check.steps.begin(), check.steps.end(), [&](const engine::OpStep& step) {
      return step.kernel.label == measured;
    })) << measured;
  }
  EXPECT_EQ(kinds.size(), kernels::tuned_kernels);
  EXPECT_EQ(all.front().kernel, TunedKernel::matvec);  // what matters most
}

// A product whose partial sums would take more memory than they are worth, or than a binding has, is split by no plan,
// so no such candidate is measured.
TEST(TuningProblems, SplitsHaveRoom) {
  const auto files = test::model_files({.layers = 1,
                                        .width = 1024,
                                        .feed_forward = 8192,
                                        .heads = 8,
                                        .kv_heads = 2,
                                        .dim = 64,
                                        .context = 600,
                                        .zeros = true});
  const auto header = files::parse_gguf(files[0], files[0].size());
  ASSERT_TRUE(header && header->gguf);
  const auto model = models::read_model(*header->gguf);
  ASSERT_TRUE(model);
  const auto splits = [&](u32 context, const gpu::Limits& limits) {
    const auto plan = engine::plan_gpu(*model, {.context = context}, limits, {});
    std::map<std::string, u32> most;
    if (!plan) return most;
    for (const Problem& problem : problems(*model, *plan, limits, {})) {
      if (problem.kernel != TunedKernel::gemm) continue;
      for (const u32 candidate : problem.candidates) {
        u32& each = most[problem.key.substr(problem.key.rfind(' ') + 1)];
        each = std::max(each, kernels::gemm_tiles()[candidate].splits);
      }
    }
    return most;
  };
  using Most = std::map<std::string, u32>;
  // q, k and v; down and attention's output; gate and up. 256 tokens x 1024 rows x 8 splits are 8 MiB.
  EXPECT_EQ(splits(600, {}), (Most{{"512x1024", 8}, {"1024x512", 8}, {"1024x8192", 8}, {"8192x1024", 1}}));
  EXPECT_EQ(splits(16, {}), (Most{{"512x1024", 8}, {"1024x512", 8}, {"1024x8192", 8}, {"8192x1024", 8}}));
  gpu::Limits small;
  small.max_storage_buffer_binding_size = 17 << 19;
  EXPECT_EQ(splits(600, small)["1024x512"], 8u);
  small.max_storage_buffer_binding_size = 15 << 19;
  EXPECT_EQ(splits(600, small)["1024x512"], 4u);
}

// What has a choice from before can be left out, and nothing else is.
TEST(Tuner, LeavesOutWhatIsKnown) {
  const auto files = test::model_files({.arch = "qwen2", .context = 64, .matrix = "Q8_0"});
  const auto model = test::open_model(files);
  ASSERT_TRUE(model);
  gpu::NullDevice device{gpu::NullOptions()};
  const auto keys = [&](const kernels::Tuning& known) {
    const auto tuner = Tuner::create(**model, {.context = 64}, device, 1, known);
    std::set<std::string> all;
    if (!tuner) return all;
    for (const Problem& problem : (*tuner)->problems()) all.insert(problem.key);
    return all;
  };
  const std::set<std::string> all = keys({});
  ASSERT_GT(all.size(), 3u);
  kernels::Tuning known;
  known.choose(*all.begin(), "anything");
  known.fall_back("*", "anything");  // is no measurement
  std::set<std::string> rest = all;
  rest.erase(*all.begin());
  EXPECT_EQ(keys(known), rest);
}

// What rounds activations is no candidate where they are to be exact.
TEST(Tuner, ExactActivationsAreRoundedByNone) {
  const auto files = test::model_files({.arch = "qwen2", .context = 64, .matrix = "Q8_0"});
  const auto model = test::open_model(files);
  ASSERT_TRUE(model);
  gpu::NullDevice device{gpu::NullOptions{.features = {.shader_f16 = true, .integer_dot_product = true}}};
  const auto rounding = [&](graph::Activations activations) {
    const auto tuner = Tuner::create(**model, {.context = 64, .activations = activations}, device, 1);
    std::set<std::string> all;
    if (!tuner) return all;
    for (const Problem& problem : (*tuner)->problems()) {
      for (const u32 each : problem.candidates) {
        const std::string name = kernels::candidate_name(problem.kernel, each);
        if (const auto plus = name.find('+'); plus != name.npos) all.insert(name.substr(plus));
      }
    }
    return all;
  };
  EXPECT_EQ(rounding(graph::Activations::q8), (std::set<std::string>{"+f16", "+int8"}));
  EXPECT_EQ(rounding(graph::Activations::f32), std::set<std::string>());
}

}  // namespace
}  // namespace pronk::tune
