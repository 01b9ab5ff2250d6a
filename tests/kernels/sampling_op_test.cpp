// The sampling kernels choose what src/cpu/sampler.h chooses: the same logits, settings, seed and step, the same token.
#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

#include "cpu/logit_adjustment.h"
#include "cpu/sampler.h"
#include "support/kernel_runner.h"

namespace pronk::test {
namespace {

using graph::SamplingParams;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

// What changes the logits before they are sampled; fed: the token that is counted then.
struct Adjusting {
  std::vector<graph::TokenAdjustment> tokens;
  std::vector<u32> mask;  // empty: none
  u32 fed;
};

struct Sampled {
  u32 token, next_token, candidates;
  kernels::StepState state;
};

class SamplingOp : public KernelTest {
 protected:
  static Sampled sample(const std::vector<float>& logits, const SamplingParams& sampling, kernels::StepState state,
                        const std::vector<u32>& end_tokens = {}, u32 context = 1000,
                        const Adjusting* adjusting = nullptr) {
    const u32 vocab = u32(logits.size());
    const kernels::SampleParams p = kernels::sample_params(sampling, vocab, context, u32(end_tokens.size()));
    enum { params, step_state, values, blocks, candidates, ends, next, sampled };
    std::vector<Bytes> memory{params_bytes(p),
                              params_bytes(state),
                              bytes_of(logits),
                              Bytes(align_up(kernels::sample_blocks_bytes(vocab), 16)),
                              bytes_of(std::vector<u32>(kernels::sample_candidates_bytes(vocab) / 4, 12345)),
                              bytes_of(std::vector<u32>(64, 0)),
                              Bytes(16),
                              Bytes(16)};
    if (!end_tokens.empty()) std::memcpy(memory[ends].data(), end_tokens.data(), end_tokens.size() * 4);
    std::vector<KernelRunner::Step> steps;
    const std::vector<u32> bindings{params, step_state, values, blocks, candidates};
    auto block_bindings = bindings;
    if (adjusting) {
      const auto add = [&](Bytes bytes) {
        block_bindings.push_back(u32(memory.size()));
        memory.push_back(std::move(bytes));
      };
      const bool masked = !adjusting->mask.empty();
      add(params_bytes(kernels::adjust_params(sampling, state.step - 1, masked)));
      add(bytes_of(std::vector<u32>{adjusting->fed}));
      add(bytes_of(masked ? adjusting->mask : std::vector<u32>(4)));
      add(bytes_of(adjusting->tokens));
    }
    steps.push_back({kernels::sample_blocks(adjusting != nullptr), block_bindings, {kernels::sample_grid(vocab)}});
    if (!p.greedy) steps.push_back({kernels::sample_filter(), bindings, {kernels::sample_grid(vocab)}});
    steps.push_back(
        {kernels::sample_pick(), {params, values, blocks, candidates, ends, step_state, next, sampled}, {1}});
    if (!runner().run(memory, steps)) return {};
    Sampled result{as<u32>(memory[sampled])[0], as<u32>(memory[next])[0], as<u32>(memory[candidates])[0], {}};
    std::memcpy(&result.state, memory[step_state].data(), sizeof result.state);
    return result;
  }

  static void expect_same(const std::vector<float>& logits, const SamplingParams& s, u32 step) {
    const u32 expected = cpu::sample(logits, s, step).value_or(kernels::bad_logits);
    kernels::StepState state;
    state.step = step, state.remaining = 10;
    const u32 got = sample(logits, s, state).token;
    EXPECT_EQ(got, expected) << "vocabulary " << logits.size() << " temperature " << s.temperature << " top_k "
                             << s.top_k << " top_p " << s.top_p << " min_p " << s.min_p << " seed " << s.seed
                             << " step " << step << " logits " << (got < logits.size() ? logits[got] : 0) << " and "
                             << (expected < logits.size() ? logits[expected] : 0);
  }
};

// Flat, bell-shaped, peaked, with ties, with very few different values.
std::vector<float> logits_of(u32 kind, u32 vocab, u32 seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, kind == 0 ? 0.01f : kind == 2 ? 8.0f : 2.5f);
  std::vector<float> logits(vocab);
  for (float& logit : logits) logit = normal(random);
  if (kind == 1) logits[random() % vocab] += 12;
  if (kind == 3)
    for (float& logit : logits) logit = std::round(logit * 2) / 2;
  if (kind == 4)
    for (float& logit : logits) logit = float(random() % 3);
  return logits;
}

SamplingParams random_params(std::mt19937& random, u32 vocab) {
  const auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  SamplingParams s{.temperature = one_of(0.01f, 0.2f, 0.7f, 1.0f, 1.3f, 5.0f), .seed = u64(random()) << 32 | random()};
  if (random() % 2) s.top_k = one_of(1u, 2u, 10u, 40u, 200u, vocab - 1, vocab, vocab + 5);
  if (random() % 2) s.top_p = one_of(0.0f, 1e-6f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f, 0.99999f, 0.9999999f);
  if (random() % 3 == 0) s.min_p = one_of(1e-8f, 0.01f, 0.05f, 0.3f, 1.0f, 2.0f);
  return s;
}

TEST_F(SamplingOp, SameTokenAsTheCpu) {
  std::mt19937 random(1);
  constexpr u32 vocabs[] = {2, 17, 255, 1024, 1025, 5000, 32000};
  for (u32 round = 0; round < 700 && !HasFailure(); ++round) {
    const u32 vocab = vocabs[round % 7];
    expect_same(logits_of(round / 7 % 5, vocab, round), random_params(random, vocab), round % 11 == 0 ? ~0u : round);
  }
}

TEST_F(SamplingOp, SameTokenAsTheCpuWithAHugeVocabulary) {
  std::mt19937 random(2);
  for (u32 round = 0; round < 40 && !HasFailure(); ++round) {
    const u32 vocab = round % 3 == 0 ? 260000 : 151936;
    expect_same(logits_of(round % 5, vocab, round), random_params(random, vocab), round);
  }
}

TEST_F(SamplingOp, Greedy) {
  for (u32 round = 0; round < 40; ++round) expect_same(logits_of(round % 5, 1 + round * 97, round), {}, round);
  expect_same({1, 3, 2, 3}, {.temperature = -1}, 0);
  expect_same({1, 3, 2, 3}, {.temperature = nan}, 0);
}

TEST_F(SamplingOp, OddLogits) {
  const std::vector<SamplingParams> all{{},
                                        {.temperature = 1},
                                        {.temperature = 1, .top_k = 2},
                                        {.temperature = 1, .top_p = 0.5f},
                                        {.temperature = 0.7f, .top_k = 3, .top_p = 0.9f, .min_p = 0.05f},
                                        {.temperature = 1, .top_p = nan, .min_p = nan},
                                        {.temperature = infinity},
                                        {.temperature = 1, .top_p = -1, .min_p = -1}};
  for (const SamplingParams& params : all) {
    for (u32 step = 0; step < 4; ++step) {
      expect_same({nan, nan, nan}, params, step);
      expect_same({-infinity, -infinity}, params, step);
      expect_same({nan, -infinity, 1, nan}, params, step);
      expect_same({0, infinity, 1, 2}, params, step);
      expect_same({0, infinity, 1, 2, infinity}, params, step);
      expect_same({0, 3e38f, nan, -3e38f}, params, step);
      expect_same({nan, 1, 1, -infinity, 1}, params, step);
      expect_same({0, 3e38f, 1, -3e38f, -infinity}, params, step);
      expect_same({2, 1, 1, -infinity, 1}, params, step);
      auto many = logits_of(0, 3000, step);
      for (u32 i = 0; i < 3000; i += 2) many[i] = -infinity;
      expect_same(many, params, step);
    }
  }
}

// Powers of two as penalties, so that both sides calculate the same logits to the last bit.
TEST_F(SamplingOp, SameTokenAsTheCpuOfAdjustedLogits) {
  std::mt19937 random(3);
  for (u32 round = 0; round < 80 && !HasFailure(); ++round) {
    const u32 vocab = std::vector<u32>{40, 1025, 5000, 151936}[round % 4], step = 1 + round;
    SamplingParams s = round % 5 == 0 ? SamplingParams{} : random_params(random, vocab);
    s.repetition_penalty = 2, s.frequency_penalty = 0.5f, s.presence_penalty = -0.25f;
    Adjusting adjusting{std::vector<graph::TokenAdjustment>(vocab), {}, u32(random() % vocab)};
    for (auto& [count, bias] : adjusting.tokens) {
      count = random() % 3 == 0 ? random() % 5 : 0;
      if (random() % 7 == 0) count |= graph::in_prompt;
      if (random() % 3 == 0) bias = float(int(random() % 17) - 8) / 4;
      if (random() % 9 == 0) bias = graph::ban;
    }
    if (round % 2) {
      adjusting.mask.resize(kernels::mask_bytes(vocab) / 4);
      for (u32& word : adjusting.mask) word = u32(random());
    }
    auto logits = logits_of(round % 5, vocab, round);
    for (u32 i = 3; i < vocab; i += 50) logits[i] = -infinity;
    kernels::StepState state;
    state.step = step, state.remaining = 10;
    const Sampled got = sample(logits, s, state, {}, 1000, &adjusting);
    ++adjusting.tokens[adjusting.fed].count;
    std::vector<float> adjusted;
    cpu::adjust_logits(logits, s, adjusting.tokens, adjusting.mask, adjusted);
    EXPECT_EQ(got.token, cpu::sample(adjusted, s, step).value_or(kernels::bad_logits)) << "round " << round;
  }
}

// NaN anywhere, with either sign and any payload, or nothing finite: no token, and the text ends.
TEST_F(SamplingOp, LogitsOfABrokenModelAreToldApart) {
  const auto with = [](u32 at, u32 bits) {
    auto logits = logits_of(1, 3000, 1);
    logits[at] = std::bit_cast<float>(bits);
    return logits;
  };
  kernels::StepState state;
  state.position = 7, state.rows = 1, state.step = 3, state.remaining = 2;
  for (const SamplingParams& params : {SamplingParams{}, SamplingParams{.temperature = 1},
                                       SamplingParams{.temperature = 1, .top_k = 40, .top_p = 0.9f, .min_p = 0.1f}}) {
    for (const auto& logits :
         {with(0, 0x7fc00000), with(2999, 0xffffffff), with(1500, 0x7f800001), std::vector<float>(3000, -infinity),
          std::vector<float>{nan}, std::vector<float>(70, -3.1e38f)}) {
      const Sampled s = sample(logits, params, state);
      EXPECT_EQ(s.token, kernels::bad_logits);
      EXPECT_EQ(s.next_token, 0u);  // as it was
      EXPECT_NE(s.state.finished, 0u);
      EXPECT_EQ(s.state.step, 3u);
      EXPECT_EQ(cpu::sample(logits, params, 3), std::nullopt);
    }
    EXPECT_LT(sample(with(0, 0xff800000), params, state).token, 3000u);  // −∞: never drawn, but no fault
    EXPECT_EQ(sample(with(5, 0x7f800000), params, state).token, 5u);
  }
}

// What filter keeps is all that pick works on.
TEST_F(SamplingOp, CandidatesAreFew) {
  kernels::StepState state;
  state.remaining = 10;
  for (const u32 vocab : {32000u, 128256u}) {
    for (const u32 kind : {0u, 1u, 2u}) {
      const auto logits = logits_of(kind, vocab, vocab + kind);
      auto sorted = logits;
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      for (const u32 k : {1u, 40u, 200u}) {
        for (const float top_p : {1.0f, 0.9f}) {
          const Sampled s = sample(logits, {.temperature = 1, .top_k = k, .top_p = top_p}, state);
          EXPECT_GE(s.candidates, k);
          EXPECT_LE(s.candidates, 2 * k + 8) << "vocabulary " << vocab << " kind " << kind << " top_k " << k;
        }
      }
      const auto at_least = [&](float logit) {
        return u32(std::upper_bound(sorted.begin(), sorted.end(), logit, std::greater<>()) - sorted.begin());
      };
      for (const float top_p : {1.0f, 0.5f}) {
        const Sampled s = sample(logits, {.temperature = 0.8f, .top_p = top_p, .min_p = 0.02f}, state);
        EXPECT_GE(s.candidates, at_least(sorted[0] + 0.8f * std::log(0.02f)));
        EXPECT_LE(s.candidates, at_least(sorted[0] + 0.8f * (std::log(0.02f) - 0.02f)));
      }
    }
    const auto peaked = logits_of(2, vocab, 3);
    EXPECT_LE(sample(peaked, {.temperature = 1, .top_p = 0.95f}, state).candidates, vocab / 20);
  }
}

// Every token is drawn about as often as its probability says: the pair of back ends could agree and be wrong.
TEST_F(SamplingOp, DrawsFollowTheProbabilities) {
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  std::vector<u32> drawn(4);
  constexpr u32 draws = 1500;
  for (u32 step = 0; step < draws; ++step) {
    kernels::StepState state;
    state.step = step, state.remaining = 1;
    ++drawn.at(sample(logits, {.temperature = 1, .seed = 9}, state).token);
  }
  const double expected[] = {0.5, 0.3, 0.15, 0.05};
  for (u32 i = 0; i < 4; ++i) {
    EXPECT_NEAR(drawn[i], expected[i] * draws, 5 * std::sqrt(draws * expected[i] * (1 - expected[i]))) << i;
  }
}

TEST_F(SamplingOp, TheStateMovesOnAndEnds) {
  const std::vector<float> logits{0, 5, 1};
  kernels::StepState state;
  state.position = 7, state.rows = 1, state.step = 3, state.remaining = 2;
  Sampled s = sample(logits, {}, state);
  EXPECT_EQ(s.token, 1u);
  EXPECT_EQ(s.next_token, 1u);
  EXPECT_EQ(s.state.position, 8u);
  EXPECT_EQ(s.state.step, 4u);
  EXPECT_EQ(s.state.remaining, 1u);
  EXPECT_EQ(s.state.finished, 0u);
  EXPECT_NE(sample(logits, {}, s.state).state.finished, 0u);        // none remain
  EXPECT_NE(sample(logits, {}, state, {2, 1}).state.finished, 0u);  // an end token
  EXPECT_EQ(sample(logits, {}, state, {2, 0}).state.finished, 0u);
  EXPECT_NE(sample(logits, {}, state, {}, 8).state.finished, 0u);  // the context is full
  EXPECT_EQ(sample(logits, {}, state, {}, 9).state.finished, 0u);
  std::vector<u32> ends(64, 7);
  EXPECT_EQ(sample(logits, {}, state, ends).state.finished, 0u);
  ends.back() = 1;
  EXPECT_NE(sample(logits, {}, state, ends).state.finished, 0u);  // whichever of as many as there may be
  state.finished = 1;
  for (const SamplingParams& params : {SamplingParams{}, SamplingParams{.temperature = 1, .top_k = 2, .top_p = 0.5f}}) {
    s = sample(logits, params, state);
    EXPECT_EQ(s.token, kernels::no_token);
    EXPECT_EQ(s.next_token, 0u);  // as it was
    EXPECT_EQ(s.state.position, 7u);
    EXPECT_EQ(s.state.remaining, 2u);
  }
}

}  // namespace
}  // namespace pronk::test
