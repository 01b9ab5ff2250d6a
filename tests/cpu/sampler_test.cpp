// The sampler against its definition: filters by brute force, draws by chi-square.
#include "cpu/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

namespace pronk::cpu {
namespace {

using graph::SamplingParams;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_logits(u32 count, u32 seed, float spread = 2, bool ties = false) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(count);
  for (float& logit : logits) logit = ties ? std::round(normal(random)) : normal(random);
  return logits;
}

// Which tokens the filters keep, by sorting everything.
std::vector<bool> kept(const std::vector<float>& logits, const SamplingParams& params) {
  const u32 n = u32(logits.size());
  std::vector<u32> order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return logits[a] > logits[b]; });
  const float inverse = 1 / params.temperature;
  const auto distance = [&](u32 i) { return (logits[i] - logits[order[0]]) * inverse; };
  std::vector<bool> keep(n, true);
  const bool top_k = params.top_k > 0 && params.top_k < n;
  if (top_k) {
    for (u32 i = 0; i < n; ++i) keep[i] = logits[i] >= logits[order[params.top_k - 1]];
  }
  if (params.top_p < 1) {
    double sum = 0;
    for (u32 i = 0; i < n; ++i) sum += std::exp(distance(i));
    const auto weight = [&](u32 i) { return u32(std::exp(distance(i)) / float(sum) * 0x1p30f); };
    u64 all = 0, inside = 0;
    for (u32 i = 0; i < n; ++i) all += keep[i] ? weight(i) : 0;
    const u64 wanted = std::max<u64>(1, u64(params.top_p * (top_k ? float(all) : 0x1p30f)));
    float last = logits[order[0]];
    for (u32 i : order) {
      if (!keep[i]) continue;
      last = logits[i];
      inside += weight(i);
      if (inside >= wanted) break;
    }
    for (u32 i = 0; i < n; ++i) keep[i] = keep[i] && logits[i] >= last;
  }
  if (params.min_p > 0) {
    for (u32 i = 0; i < n; ++i) keep[i] = keep[i] && distance(i) >= std::log(params.min_p);
  }
  keep[order[0]] = true;
  return keep;
}

u32 expected(const std::vector<float>& logits, const SamplingParams& params, u32 step) {
  const std::vector<bool> keep = kept(logits, params);
  const float inverse = 1 / params.temperature, largest = *std::max_element(logits.begin(), logits.end());
  u32 winner = ~0u;
  float best = -infinity;
  for (u32 i = 0; i < logits.size(); ++i) {
    const float score = (logits[i] - largest) * inverse + gumbel(params.seed, step, i);
    if (keep[i] && (winner == ~0u || score > best)) winner = i, best = score;
  }
  return winner;
}

// Σ (observed − expected)² / expected over cells of at least five expected draws, the others in one;
// and the degrees of freedom.
std::pair<double, u32> chi_square(const std::vector<u32>& observed, const std::vector<double>& probability, u32 draws) {
  double statistic = 0, rest_observed = 0, rest_expected = 0;
  u32 cells = 0;
  for (u32 i = 0; i < observed.size(); ++i) {
    const double e = probability[i] * draws;
    if (e < 5) {
      rest_observed += observed[i], rest_expected += e;
    } else {
      statistic += (observed[i] - e) * (observed[i] - e) / e, ++cells;
    }
  }
  if (rest_expected >= 5) {
    statistic += (rest_observed - rest_expected) * (rest_observed - rest_expected) / rest_expected, ++cells;
  }
  return {statistic, cells - 1};
}

// Draws with one seed and consecutive steps, and asks whether they could come from softmax over what is kept. The bound
// is five standard deviations of chi-square above its mean.
void expect_distribution(const std::vector<float>& logits, const SamplingParams& params, u32 draws) {
  const std::vector<bool> keep = kept(logits, params);
  const float largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> probability(logits.size());
  double sum = 0;
  for (u32 i = 0; i < logits.size(); ++i) {
    probability[i] = keep[i] ? std::exp((double(logits[i]) - largest) / params.temperature) : 0;
    sum += probability[i];
  }
  for (double& p : probability) p /= sum;
  std::vector<u32> observed(logits.size());
  Sampler sampler(u32(logits.size()));
  for (u32 step = 0; step < draws; ++step) {
    const u32 token = sampler.sample(logits, params, step).value_or(~0u);
    ASSERT_LT(token, logits.size());
    ASSERT_TRUE(keep[token]);
    ++observed[token];
  }
  const auto [statistic, freedom] = chi_square(observed, probability, draws);
  ASSERT_GT(freedom, 2u);
  EXPECT_LT(statistic, freedom + 5 * std::sqrt(2.0 * freedom)) << "degrees of freedom " << freedom;
}

TEST(Sampler, Greedy) {
  EXPECT_EQ(sample(std::vector<float>{1, 3, 2, 3}, {}, 0), 1u);  // the lowest id on ties
  EXPECT_EQ(sample(std::vector<float>{-5}, {}, 7), 0u);
  EXPECT_EQ(sample(std::vector<float>{1, 2, 3}, {.temperature = -1}, 0), 2u);
  EXPECT_EQ(sample(std::vector<float>{1, 2, 3}, {.temperature = nan}, 0), 2u);
  EXPECT_EQ(sample(std::vector<float>{1, 2, 2.001f}, {.temperature = 1e-9f, .seed = 3}, 0), 2u);
}

TEST(Sampler, DrawsFromSoftmax) {
  for (u32 seed : {1u, 2u, 3u}) {
    expect_distribution(random_logits(40, seed), {.temperature = 1, .seed = seed}, 40000);
    expect_distribution(random_logits(40, seed + 10), {.temperature = 0.5f, .seed = u64(seed) << 32}, 40000);
    expect_distribution(random_logits(300, seed + 20), {.temperature = 1.7f, .seed = ~u64{0} - seed}, 40000);
  }
  expect_distribution(std::vector<float>(16, 0.0f), {.temperature = 1, .seed = 5}, 40000);
}

TEST(Sampler, DrawsFromWhatTheFiltersKeep) {
  const std::vector<float> logits = random_logits(100, 30, 1);
  expect_distribution(logits, {.temperature = 1, .top_k = 10, .seed = 1}, 20000);
  expect_distribution(logits, {.temperature = 1, .top_p = 0.8f, .seed = 2}, 20000);
  expect_distribution(logits, {.temperature = 0.8f, .min_p = 0.05f, .seed = 3}, 20000);
  expect_distribution(logits, {.temperature = 1.2f, .top_k = 20, .top_p = 0.9f, .min_p = 0.02f, .seed = 4}, 20000);
}

// The chi-square test itself must be able to fail.
TEST(Sampler, ChiSquareTellsOtherDistributionsApart) {
  std::vector<u32> observed(10);
  for (u32 step = 0; step < 20000; ++step) ++observed[*sample(std::vector<float>(10, 0.0f), {.temperature = 1}, step)];
  std::vector<double> skewed(10, 0.1);
  skewed[0] = 0.11, skewed[1] = 0.09;
  const auto [statistic, freedom] = chi_square(observed, skewed, 20000);
  EXPECT_GT(statistic, freedom + 5 * std::sqrt(2.0 * freedom));
}

TEST(Sampler, MatchesBruteForce) {
  std::mt19937 random(7);
  const auto unit = [&] { return float(random() % 1001) / 1000; };
  for (u32 round = 0; round < 3000; ++round) {
    const auto logits = random_logits(1 + random() % 80, round, 3, round % 2 == 0);
    SamplingParams params{.temperature = 0.05f + 2 * unit(), .seed = random()};
    if (random() % 2) params.top_k = random() % 100;
    if (random() % 2) params.top_p = unit();
    if (random() % 2) params.min_p = unit() * unit();
    const u32 step = random();
    ASSERT_EQ(sample(logits, params, step), expected(logits, params, step))
        << "round " << round << " top_k " << params.top_k << " top_p " << params.top_p << " min_p " << params.min_p;
  }
}

// Which tokens appear at all over many steps, with logits near each other so that each that may will.
std::set<u32> reachable(const std::vector<float>& logits, const SamplingParams& params) {
  std::set<u32> tokens;
  for (u32 step = 0; step < 4000; ++step) tokens.insert(*sample(logits, params, step));
  return tokens;
}

TEST(Sampler, TopKKeepsTies) {
  EXPECT_EQ(reachable({1, 2, 2, 2, 1.5f}, {.temperature = 1, .top_k = 2}), (std::set<u32>{1, 2, 3}));
  EXPECT_EQ(reachable({1, 2, 2, 2, 1.5f}, {.temperature = 1, .top_k = 4}), (std::set<u32>{1, 2, 3, 4}));
  EXPECT_EQ(reachable({1, 2, 1.5f}, {.temperature = 1, .top_k = 1}), (std::set<u32>{1}));
  EXPECT_EQ(reachable({1, 2, 1.5f}, {.temperature = 1, .top_k = 99}), (std::set<u32>{0, 1, 2}));
}

TEST(Sampler, TopPKeepsTheSmallestPrefix) {
  const std::vector<float> quarters{std::log(0.5f), std::log(0.25f), std::log(0.125f), std::log(0.125f)};
  EXPECT_EQ(reachable(quarters, {.temperature = 1, .top_p = 0.4f}), (std::set<u32>{0}));
  EXPECT_EQ(reachable(quarters, {.temperature = 1, .top_p = 0.7f}), (std::set<u32>{0, 1}));
  EXPECT_EQ(reachable(quarters, {.temperature = 1, .top_p = 0.8f}), (std::set<u32>{0, 1, 2, 3}));  // a tie
  EXPECT_EQ(reachable(quarters, {.temperature = 1, .top_p = 0}), (std::set<u32>{0}));
  // of what top-k kept, 0.5 is two thirds
  EXPECT_EQ(reachable(quarters, {.temperature = 1, .top_k = 2, .top_p = 0.6f}), (std::set<u32>{0}));
}

TEST(Sampler, MinPIsRelativeToTheLargest) {
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  EXPECT_EQ(reachable(logits, {.temperature = 1, .min_p = 0.5f}), (std::set<u32>{0, 1}));
  EXPECT_EQ(reachable(logits, {.temperature = 1, .min_p = 0.3f}), (std::set<u32>{0, 1, 2}));
  EXPECT_EQ(reachable(logits, {.temperature = 1, .min_p = 1}), (std::set<u32>{0}));
  EXPECT_EQ(reachable(logits, {.temperature = 1, .min_p = 5}), (std::set<u32>{0}));
}

TEST(Sampler, SeedStepAndTokenAllMatter) {
  const std::vector<float> logits(1000, 0.0f);
  std::set<u32> by_step, by_low, by_high;
  for (u32 i = 0; i < 20; ++i) {
    by_step.insert(*sample(logits, {.temperature = 1}, i));
    by_low.insert(*sample(logits, {.temperature = 1, .seed = i}, 0));
    by_high.insert(*sample(logits, {.temperature = 1, .seed = u64(i) << 32}, 0));
    EXPECT_EQ(sample(logits, {.temperature = 1, .seed = i}, 3), sample(logits, {.temperature = 1, .seed = i}, 3));
  }
  EXPECT_GT(by_step.size(), 15u);
  EXPECT_GT(by_low.size(), 15u);
  EXPECT_GT(by_high.size(), 15u);
}

// Values worked out from the definition with exact integers by another program: every back end must have them.
TEST(Sampler, HashIsLowbias32) {
  EXPECT_EQ(mix(0), 0u);
  EXPECT_EQ(mix(1), 0x688990c0u);
  EXPECT_EQ(mix(0xdeadbeef), 0xe628c683u);
}

TEST(Sampler, GumbelIsFiniteAndHasItsMoments) {
  double sum = 0, squares = 0;
  constexpr u32 count = 400000;
  for (u32 i = 0; i < count; ++i) {
    const float g = gumbel(11, i / 1000, i % 1000);
    ASSERT_TRUE(std::isfinite(g));
    sum += g, squares += double(g) * g;
  }
  const double mean = sum / count, variance = squares / count - mean * mean;
  EXPECT_NEAR(mean, 0.5772, 0.01);      // Euler's constant
  EXPECT_NEAR(variance, 1.6449, 0.03);  // π² / 6
}

TEST(Sampler, OddLogitsDoNotCrash) {
  const std::vector<SamplingParams> all{{},
                                        {.temperature = 1},
                                        {.temperature = 1, .top_k = 2},
                                        {.temperature = 1, .top_p = 0.5f},
                                        {.temperature = 1, .min_p = 0.1f},
                                        {.temperature = 0.7f, .top_k = 3, .top_p = 0.9f, .min_p = 0.05f},
                                        {.temperature = 1, .top_p = nan, .min_p = nan},
                                        {.temperature = infinity}};
  for (const SamplingParams& params : all) {
    EXPECT_EQ(sample(std::vector<float>{-infinity, -infinity, 1}, params, 0), 2u);
    if (params.temperature != infinity) {
      EXPECT_EQ(sample(std::vector<float>{0, infinity, 1, 2}, params, 0), 1u);
      EXPECT_EQ(sample(std::vector<float>{0, 3e38f, -infinity, -3e38f}, params, 0), 1u);
    }
    for (u32 step = 0; step < 50; ++step) {
      EXPECT_NE(sample(std::vector<float>{-infinity, 1, 1, -infinity, 1}, params, step), 0u);
    }
    for (const std::vector<float>& broken : {std::vector<float>{nan, nan, nan},
                                             {-infinity, -infinity},
                                             {nan, -infinity, 1, nan},
                                             {1, 2, -nan},
                                             {-3.1e38f, -3e38f}}) {
      EXPECT_EQ(sample(broken, params, 0), std::nullopt);
    }
  }
}

}  // namespace
}  // namespace pronk::cpu
