// How many decode steps are in flight, on a device with no hardware: the test says how long its GPU takes for a step,
// how long the host takes to submit one, and when what was read is told of.
#include "engine/decode_pace.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/gpu_plan.h"
#include "kernels/kernels.h"
#include "support/engine_driver.h"

namespace pronk {
namespace {

using engine::DecodePace;
using test::NullEngine;

class PacedEngine {
 public:
  double step_ms = 1, host_ms = 0;
  double tick_ms = 0;     // finished work is looked for so often; 0: it is told of at once
  bool together = false;  // the engine hears at once of all that has been told by then

  PacedEngine() {
    auto made = NullEngine::load(test::model_files({.layers = 1, .zeros = true}), {.context = 4000},
                                 {.complete_reads = false, .now_ms = [this] { return now(); }});
    EXPECT_TRUE(made) << made.error().message;
    e_ = std::move(*made);
  }
  ~PacedEngine() {
    EXPECT_TRUE(e_.device->violations().empty());
    EXPECT_EQ(e_.device->counters().buffers_created, created_);
  }
  PacedEngine(const PacedEngine&) = delete;
  PacedEngine& operator=(const PacedEngine&) = delete;

  double now() const { return clock_ + (e_.device ? host_ms * double(e_.device->submissions().size()) : 0); }

  // Milliseconds that so many tokens take. The session's text is 0, 1, 2, …
  double generate(u32 count) {
    start(count);
    const double begin = now();
    const std::vector<u32> tokens = rest();
    EXPECT_EQ(tokens.size(), count);
    for (u32 i = 0; i < tokens.size(); ++i) EXPECT_EQ(tokens[i], i);
    return now() - begin;
  }

  // What comes out until the run ends.
  std::vector<u32> rest() {
    std::vector<u32> tokens;
    for (u32 turns = 0; session().running() && turns < 10000; ++turns) {
      turn();
      const std::size_t before = tokens.size();
      for (u32 token; session().next(token);) tokens.push_back(token);
      largest_burst_ = std::max(largest_burst_, u32(tokens.size() - before));
    }
    EXPECT_FALSE(session().running());
    return tokens;
  }

  void sample(std::function<u32()> next) { *e_.sampled = std::move(next); }

  void start(u32 count, bool ignore_end = true) {
    created_ = e_.device->counters().buffers_created;
    largest_read_ = largest_burst_ = 0;
    *e_.sampled = [next = 0u]() mutable { return next++; };
    ASSERT_TRUE(e_.engine->session().start(std::vector<u32>{1}, {.max_tokens = count, .ignore_end = ignore_end}));
    ASSERT_TRUE(e_.engine->pump());
  }

  // Until the next read is told of, of which the engine hears at once.
  void turn() {
    for (; seen_ < e_.device->reads().size(); ++seen_) {
      const auto& read = e_.device->reads()[seen_];
      const u32 steps = u32(read.size / 4);
      largest_read_ = std::max(largest_read_, steps);
      const double submitted_ms = clock_ + host_ms * double(read.after_submits);
      gpu_free_ms_ = std::max(gpu_free_ms_, submitted_ms) + steps * step_ms;
      told_ms_.push_back(tick_ms > 0 ? std::ceil(gpu_free_ms_ / tick_ms) * tick_ms : gpu_free_ms_);
    }
    clock_ += std::max(told_ms_.at(told_) - now(), 0.0);
    do {
      ++told_;
      ASSERT_EQ(e_.device->complete_reads(1), 1u);
    } while (together && told_ < told_ms_.size() && told_ms_[told_] <= now());
    ASSERT_TRUE(e_.engine->pump());
  }

  u32 in_flight() const {
    u32 steps = 0;
    for (std::size_t i = told_; i < e_.device->reads().size(); ++i) steps += u32(e_.device->reads()[i].size / 4);
    return steps;
  }
  u32 largest_read() const { return largest_read_; }    // in steps, of the last run
  u32 largest_burst() const { return largest_burst_; }  // tokens that came at once
  Session& session() { return e_.engine->session(); }

 private:
  double clock_ = 1000, gpu_free_ms_ = 0;
  std::size_t seen_ = 0, told_ = 0;
  std::vector<double> told_ms_;
  u64 created_ = 0;
  u32 largest_read_ = 0, largest_burst_ = 0;
  NullEngine e_;
};

TEST(DecodePace, AFastGpuDoesNotWaitForSlowReading) {
  PacedEngine p;
  p.step_ms = 2, p.tick_ms = 100;
  p.generate(600);  // from six in flight on
  const double ms = p.generate(1000);
  EXPECT_LT(ms, 1000 * 2 * 1.2);  // with six in flight it would be 17 s
  EXPECT_GT(p.largest_read(), 1u);
  EXPECT_LE(p.largest_read(), DecodePace::most_tokens);
}

TEST(DecodePace, AtMostSixtyFourAreInFlight) {
  PacedEngine p;
  p.step_ms = 0.1, p.tick_ms = 100;
  p.start(3000);
  u32 most = 0;
  for (u32 i = 0; i < 200; ++i) {
    p.turn();
    most = std::max(most, p.in_flight());
    for (u32 token; p.session().next(token);) {
    }
  }
  EXPECT_EQ(most, 64u);
  EXPECT_EQ(DecodePace::most, 64u);
}

// Whatever the GPU's pace: a token at a time, as it is made.
TEST(DecodePace, PromptReadingIsATokenAtATime) {
  for (const double step : {0.2, 3.0, 50.0, 400.0}) {
    PacedEngine p;
    p.step_ms = step;
    EXPECT_NEAR(p.generate(300), 300 * step, 0.01 * 300 * step);
    EXPECT_EQ(p.largest_read(), 1u);
    EXPECT_EQ(p.largest_burst(), 1u);
    p.start(50);
    EXPECT_EQ(p.in_flight(), DecodePace::least);
    p.session().cancel();
  }
}

// What a cancelled run leaves behind, in time of the GPU: no more than some steps, or than reading back takes anyway.
TEST(DecodePace, ASlowGpuKeepsFewStepsInFlight) {
  for (const double step : {5.0, 9.0, 12.0, 25.0, 200.0}) {
    PacedEngine p;
    p.step_ms = step, p.tick_ms = 100;
    p.generate(1000);
    const double ms = p.generate(500);
    EXPECT_LT(ms, 500 * step * 1.2) << step;
    p.start(500);
    EXPECT_LE(p.in_flight() * step, std::max(2.5 * p.tick_ms, DecodePace::least * step)) << step;
    p.session().cancel();
  }
}

TEST(DecodePace, FollowsTheReadingWhenItGetsQuick) {
  PacedEngine p;
  p.step_ms = 2, p.tick_ms = 100;
  p.generate(1000);
  p.tick_ms = 0;
  p.generate(1000);
  p.generate(100);
  EXPECT_EQ(p.largest_burst(), 1u);
  p.start(50);
  EXPECT_EQ(p.in_flight(), DecodePace::least);
  p.session().cancel();
}

// Then the GPU waits for the host, which more steps would only keep from hearing of tokens.
TEST(DecodePace, ABusyHostSubmitsNoMoreAtOnce) {
  for (const bool together : {false, true}) {
    PacedEngine p;
    p.step_ms = 0.1, p.host_ms = 5, p.together = together;
    p.generate(500);
    EXPECT_EQ(p.largest_read(), 1u);
    p.start(50);
    EXPECT_EQ(p.in_flight(), DecodePace::least);
    p.session().cancel();
    PacedEngine ticking;  // so many as keep it busy meanwhile
    ticking.step_ms = 0.1, ticking.host_ms = 5, ticking.together = together, ticking.tick_ms = 100;
    ticking.generate(1000);
    ticking.start(200);
    EXPECT_LE(ticking.in_flight() * ticking.host_ms, 2 * ticking.tick_ms);
    ticking.session().cancel();
  }
}

TEST(DecodePace, ARunBehindACancelledOneTakesItsOwnTokensOnly) {
  PacedEngine p;
  p.step_ms = 1, p.tick_ms = 100;
  p.generate(1000);
  p.start(500);
  for (u32 i = 0; i < 5; ++i) p.turn();
  EXPECT_GT(p.in_flight(), 30u);
  u32 token = 0;
  EXPECT_TRUE(p.session().next(token));
  p.session().cancel();
  EXPECT_FALSE(p.session().next(token));
  const u32 old = p.in_flight();
  p.start(100);
  const std::vector<u32> tokens = p.rest();
  ASSERT_EQ(tokens.size(), 100u);
  for (u32 i = 0; i < 100; ++i) EXPECT_EQ(tokens[i], old + i);  // what the old steps sampled is dropped
}

// Of what is written ahead nothing takes a place that the position before it still looks at.
TEST(DecodePace, WindowsHaveRoomForAllStepsInFlight) {
  engine::GpuPlan plan;
  plan.options.chunk = 8;
  EXPECT_GT(plan.slack(), DecodePace::most);
  plan.options.chunk = 256;
  EXPECT_EQ(plan.slack(), 256u);
}

// With an end token or with the last of the tokens asked for; what the read brings behind it is not of the text.
TEST(DecodePace, ATextEndsInsideARead) {
  PacedEngine p;
  p.step_ms = 1, p.tick_ms = 100;
  p.generate(1000);
  for (u32 count = 200; count < 217; ++count) p.generate(count);
  EXPECT_GT(p.largest_read(), 4u);
  for (u32 end = 100; end < 109; ++end) {
    const u32 last = p.in_flight() + end;  // behind the steps of the run before
    p.start(500, false);
    p.sample([next = 0u, end = last]() mutable { return ++next < end ? 50u : next == end ? 2u : kernels::no_token; });
    EXPECT_EQ(p.rest().size(), end);
    EXPECT_EQ(p.session().finish(), Finish::end_token);
  }
}

}  // namespace
}  // namespace pronk
