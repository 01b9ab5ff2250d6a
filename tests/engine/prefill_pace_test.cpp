// How many tokens of a prompt go into a submission, on a device with no hardware whose clock the test sets.
#include "engine/prefill_pace.h"

#include <gtest/gtest.h>

#include "support/engine_driver.h"

namespace pronk {
namespace {

using engine::PrefillPace;
using test::NullEngine;

using Cost = std::function<double(u32 tokens)>;  // milliseconds that a submission of so many tokens takes

// An engine whose prefill submissions take what `cost` says.
struct TimedEngine {
  NullEngine e;
  std::shared_ptr<double> clock;
  u64 seen = 0;  // submissions before those that next_chunks() has yet to give

  explicit TimedEngine(const LoadOptions& options, std::shared_ptr<double> at = std::make_shared<double>(1000))
      : clock(std::move(at)) {
    auto made = NullEngine::load(test::model_files({.layers = 1, .zeros = true}), options,
                                 {.complete_work = false, .now_ms = [at = clock] { return *at; }});
    EXPECT_TRUE(made) << made.error().message;
    e = std::move(*made);
    seen = e.device->submissions().size();
  }

  // Tokens of each prefill submission made since the last call.
  std::vector<u32> next_chunks() {
    std::vector<u32> chunks;
    for (; seen < e.device->submissions().size(); ++seen) {
      const auto& dispatches = e.device->submissions()[seen].dispatches;
      const auto has = [&](std::string_view text) {
        return std::any_of(dispatches.begin(), dispatches.end(), [&](const auto& d) {
          return e.device->pipeline(d.pipeline).desc.label.find(text) != std::string::npos;
        });
      };
      if (!has("sample_pick")) chunks.push_back(dispatches[0].y);  // embed's grid is as high as there are tokens
    }
    return chunks;
  }

  // All chunks of a prompt of `tokens`, each of which takes its cost.
  std::vector<u32> prefill(u32 tokens, const Cost& cost) {
    EXPECT_TRUE(e.engine->session().start(test::some_tokens(tokens + 1, ++prompt_, 250), {.max_tokens = 1}));
    std::vector<u32> all;
    EXPECT_TRUE(e.engine->pump());
    for (u64 at = 0; at < all.size() || at == 0; ++at) {
      for (const u32 chunk : next_chunks()) all.push_back(chunk);
      if (at == all.size()) break;
      *clock += cost(all[at]);
      EXPECT_EQ(e.device->complete_work(1), 1u);
      EXPECT_TRUE(e.engine->pump());
      for (const u32 chunk : next_chunks()) all.push_back(chunk);
    }
    u32 sum = 0;
    for (const u32 chunk : all) sum += chunk;
    EXPECT_EQ(sum, tokens);
    EXPECT_TRUE(test::finish_generation(*e.engine));
    EXPECT_TRUE(e.device->violations().empty());
    return all;
  }

 private:
  u32 prompt_ = 0;
};

Cost linear(double ms_a_token, double fixed = 0) {
  return [=](u32 tokens) { return fixed + ms_a_token * tokens; };
}

TEST(PrefillPace, StartsSmallAndGrowsToThePlansChunkOnAFastDevice) {
  TimedEngine t({.context = 4000});
  const auto chunks = t.prefill(3000, linear(0.01));
  ASSERT_GE(chunks.size(), 8u);
  EXPECT_EQ(chunks[0], 32u);
  EXPECT_EQ(chunks[1], 32u);  // submitted before anything was known
  for (u64 i = 1; i + 1 < chunks.size(); ++i) EXPECT_LE(chunks[i], std::min(2 * chunks[i - 1], 256u)) << i;
  EXPECT_EQ(*std::max_element(chunks.begin(), chunks.end()), 256u);
  EXPECT_EQ(t.e.engine->prefill_chunk(), 256u);
  EXPECT_EQ(t.prefill(600, linear(0.01)), (std::vector<u32>{256, 256, 88}));  // what it learned it keeps
}

TEST(PrefillPace, NeverMoreThanThePlansBuffersHold) {
  TimedEngine t({.context = 100});
  EXPECT_EQ(t.prefill(99, linear(0.01)), (std::vector<u32>{32, 32, 35}));
  t.prefill(99, linear(0.01));
  EXPECT_EQ(t.e.engine->prefill_chunk(), 100u);
  TimedEngine asked({.context = 100, .prefill_chunk = 5000});
  EXPECT_EQ(asked.e.engine->prefill_chunk(), 100u);
}

TEST(PrefillPace, SettlesBetweenQuickAndSlow) {
  for (const Cost& cost : {linear(0.5), linear(1), linear(0.3, 20), linear(0.45, 10)}) {
    TimedEngine t({.context = 16000});
    const auto chunks = t.prefill(12000, cost);
    for (u64 i = chunks.size() / 4; i + 1 < chunks.size(); ++i) {
      EXPECT_GE(cost(chunks[i]), PrefillPace::quick_ms - 32 * (cost(2) - cost(1))) << i;  // a tile less is not enough
      EXPECT_LE(cost(chunks[i]), PrefillPace::slow_ms) << i;
    }
  }
}

TEST(PrefillPace, ShrinksWhenTheDeviceBecomesSlowerAndGrowsAgain) {
  TimedEngine t({.context = 4000});
  t.prefill(3000, linear(0.1));
  ASSERT_EQ(t.e.engine->prefill_chunk(), 256u);
  const auto chunks = t.prefill(2000, linear(1));  // 256 ms a full chunk
  EXPECT_EQ(chunks[0], 256u);
  EXPECT_EQ(chunks[1], 256u);
  EXPECT_LE(chunks[2], 96u);
  EXPECT_LE(t.e.engine->prefill_chunk(), 100u);
  for (u32 again = 0; again < 4; ++again) t.prefill(3000, linear(0.1));
  EXPECT_EQ(t.e.engine->prefill_chunk(), 256u);
}

// A slow device has a chunk's layers in several submissions, and never the kernel for fewer tokens.
TEST(PrefillPace, CutsAChunkIntoSubmissionsOnASlowDevice) {
  for (const auto& [ms_a_token, parts] : {std::pair{15.0, 7u}, {40.0, 18u}}) {  // 480 ms, 1.3 s
    PrefillPace pace(0, 256);
    EXPECT_EQ(pace.parts(), 1u);
    for (u32 i = 0; i < 5; ++i) pace.took(32, 32 * ms_a_token);
    EXPECT_EQ(pace.tokens(), 32u);
    EXPECT_EQ(pace.parts(), parts);
    pace.took(32, 80);
    EXPECT_EQ(pace.parts(), 1u);
  }
  PrefillPace slowest(0, 256);
  slowest.took(32, 1e6);
  EXPECT_EQ(slowest.parts(), PrefillPace::most_parts);
}

TEST(PrefillPace, PartsOfAChunkAreAllOfItsWork) {
  TimedEngine t({.context = 2000});
  const auto dispatches = [&](u64 i) { return t.e.device->submissions()[i].dispatches.size(); };
  ASSERT_TRUE(t.e.engine->session().start(test::some_tokens(200, 1, 250), {.max_tokens = 1}));
  ASSERT_TRUE(t.e.engine->pump());
  u64 seen = t.seen;
  ASSERT_EQ(t.e.device->submissions().size(), seen + 2) << "two chunks, before anything was known";
  ASSERT_EQ(dispatches(seen), 3u);
  seen += 2;
  for (const double milliseconds : {1000, 150}) {  // of a chunk: more parts than there are dispatches, then two
    *t.clock += milliseconds * (milliseconds == 1000 ? 2 : 1);
    ASSERT_GT(t.e.device->complete_work(), 0u);
    ASSERT_TRUE(t.e.engine->pump());
    const u64 parts = milliseconds == 1000 ? 3 : 2;
    ASSERT_EQ(t.e.device->submissions().size(), seen + parts) << "and no second chunk behind it";
    u64 all = 0;
    for (u64 i = 0; i < parts; ++i) all += dispatches(seen + i);
    EXPECT_EQ(all, 3u);
    seen += parts;
  }
  EXPECT_TRUE(t.e.device->violations().empty());
}

TEST(PrefillPace, ALongPromptsRestTakesTheKernelsOfItsFullChunks) {
  TimedEngine t({.context = 200});
  const std::size_t before = t.e.device->submissions().size();
  ASSERT_EQ(t.prefill(35, linear(0.01)), (std::vector<u32>{32, 3}));
  for (std::size_t i = before; i < before + 2; ++i) {
    bool gemm = false;
    for (const auto& d : t.e.device->submissions()[i].dispatches)
      gemm = gemm || t.e.device->pipeline(d.pipeline).desc.label.starts_with("gemm");
    EXPECT_TRUE(gemm) << i;
  }
}

// A host that was busy hears of several submissions at once: each took a share of the time.
TEST(PrefillPace, ChunksToldOfTogetherShareTheTime) {
  TimedEngine t({.context = 2000, .prefill_chunk = 128});
  ASSERT_TRUE(t.e.engine->session().start(test::some_tokens(1500, 1, 250), {.max_tokens = 1}));
  ASSERT_TRUE(t.e.engine->pump());
  *t.clock += 160;  // 80 ms each: neither quick nor slow
  ASSERT_EQ(t.e.device->complete_work(), 2u);
  ASSERT_TRUE(t.e.engine->pump());
  EXPECT_EQ(t.e.engine->prefill_chunk(), 128u);
  *t.clock += 400;
  ASSERT_EQ(t.e.device->complete_work(), 2u);
  ASSERT_TRUE(t.e.engine->pump());
  EXPECT_EQ(t.e.engine->prefill_chunk(), 32u);  // 128 · 75 / 200, in whole tiles
}

// What a host does when the device is lost: half of what the lost engine was at, in the next one.
TEST(PrefillPace, HalvesOverALoss) {
  u32 chunk = 0;
  std::vector<u32> first;
  for (u32 losses = 0; losses < 5; ++losses) {
    TimedEngine t({.context = 500, .prefill_chunk = chunk});
    ASSERT_TRUE(t.e.engine->session().start(test::some_tokens(400, 1, 250), {.max_tokens = 1}));
    ASSERT_TRUE(t.e.engine->pump());
    first.push_back(t.next_chunks().at(0));
    t.e.device->lose("it took too long");
    ASSERT_FALSE(t.e.engine->pump());
    chunk = t.e.engine->prefill_chunk() / 2;
  }
  EXPECT_EQ(first, (std::vector<u32>{32, 16, 8, 4, 4}));
}

TEST(PrefillPace, OfTheCpuIsNone) {
  auto engine = test::load(test::model_files({}), {.context = 64}, nullptr);
  ASSERT_TRUE(engine);
  EXPECT_EQ((*engine)->prefill_chunk(), 0u);
}

}  // namespace
}  // namespace pronk
