// Penalties, biases, masks and log probabilities through a session, on the CPU and on the GPU.
#include <gtest/gtest.h>

#include <cmath>

#include "cpu/logit_adjustment.h"
#include "support/engine_driver.h"

namespace pronk {
namespace {

constexpr u32 vocab = 300;

std::vector<u32> prompt(u32 count) { return test::some_tokens(count, 5, vocab); }

// An engine on the CPU and, where there is one, on a GPU.
class Adjustments : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::unique_ptr<gpu::Device> device;
    if (std::string_view(GetParam()) == "gpu") {
      auto made = gpu::create_native_device();
      if (!made) GTEST_SKIP() << made.error().message;
      device = std::move(*made);
    }
    auto loaded = test::load(test::model_files({}), {.context = 128, .self_test = false}, std::move(device));
    ASSERT_TRUE(loaded) << loaded.error().message;
    engine_ = std::move(*loaded);
  }

  std::vector<u32> generate(const GenerateOptions& options, u32 length = 10) {
    const auto tokens = test::generate(*engine_, prompt(length), options);
    EXPECT_TRUE(tokens) << tokens.error().message;
    return tokens.value_or(std::vector<u32>());
  }
  std::string refusal(const GenerateOptions& options) {
    const Status status = engine_->session().start(prompt(5), options);
    return status ? "" : status.error().message;
  }

  // A generation whose tokens each get the mask of their number.
  Result<std::vector<u32>> generate_masked(GenerateOptions options,
                                           const std::function<std::vector<u32>(std::size_t)>& mask_of) {
    options.masked = true;
    Session& session = engine_->session();
    PRONK_OK(session.start(prompt(10), options));
    std::vector<u32> tokens;
    for (u32 turns = 0; session.running() && turns < 10000; ++turns) {
      PRONK_OK(engine_->pump());
      for (u32 token; session.next(token);) tokens.push_back(token);
      if (session.wants_mask()) {
        PRONK_OK(session.mask(mask_of(tokens.size())));
      } else if (session.running()) {
        PRONK_OK(test::turn(*engine_));
      }
    }
    EXPECT_FALSE(session.running());
    return tokens;
  }

  std::unique_ptr<Engine> engine_;
};

INSTANTIATE_TEST_SUITE_P(, Adjustments, testing::Values("cpu", "gpu"), [](const auto& at) { return at.param; });

u32 count_of(const std::vector<u32>& tokens, u32 token) { return u32(std::count(tokens.begin(), tokens.end(), token)); }

TEST_P(Adjustments, ABiasForcesAndBans) {
  const std::vector<u32> plain = generate({.max_tokens = 6, .ignore_end = true});
  EXPECT_EQ(generate({.max_tokens = 6, .ignore_end = true, .logit_bias = {{77, 100}}}), std::vector<u32>(6, 77));
  const auto without = generate({.max_tokens = 6, .ignore_end = true, .logit_bias = {{plain[0], -100}}});
  EXPECT_EQ(count_of(without, plain[0]), 0u);
  EXPECT_EQ(generate({.max_tokens = 6, .ignore_end = true}), plain);  // nothing is left of it
}

// The logits of forced tokens are far above all others, so their order is that of what is taken from them.
TEST_P(Adjustments, FrequencyCountsEachTimeAndPresenceOnce) {
  GenerateOptions options{.max_tokens = 12, .ignore_end = true};
  options.logit_bias = {{7, 60}, {8, 50}};
  options.sampling.presence_penalty = 2;
  EXPECT_EQ(generate(options), std::vector<u32>(12, 7));  // 2 less, however often
  options.max_tokens = 100;
  options.sampling = {.frequency_penalty = 2};
  const auto tokens = generate(options);
  ASSERT_EQ(tokens.size(), 100u);
  // 7 until it has lost its lead, which the model's own logits change a little; then both in turn.
  const auto first = u32(std::find(tokens.begin(), tokens.end(), 8u) - tokens.begin());
  EXPECT_GE(first, 3u);
  EXPECT_LE(first, 8u);
  EXPECT_NEAR(count_of(tokens, 7), count_of(tokens, 8) + 5.0, 4);
}

// What the model would say next is put in the prompt: then the penalty takes it away, though the answer has none of it.
TEST_P(Adjustments, RepetitionKnowsThePrompt) {
  std::vector<u32> text = prompt(10);
  const GenerateOptions plain{.max_tokens = 1, .ignore_end = true};
  u32 said = ~0u;
  for (u32 tries = 0; tries < 100; ++tries) {
    const auto tokens = test::generate(*engine_, text, plain);
    ASSERT_TRUE(tokens);
    said = (*tokens)[0];
    if (count_of(text, said) > 0) break;
    text.push_back(said);
  }
  ASSERT_GT(count_of(text, said), 0u);  // the likeliest is in the prompt
  GenerateOptions options = plain;
  options.sampling.presence_penalty = 2;
  EXPECT_EQ(*test::generate(*engine_, text, options), std::vector<u32>{said});  // only the answer's tokens count
  options.sampling = {.repetition_penalty = 100};
  EXPECT_NE(*test::generate(*engine_, text, options), std::vector<u32>{said});
}

TEST_P(Adjustments, AResumedRunCountsTheAnswerSoFar) {
  for (const float temperature : {0.0f, 1.5f}) {
    GenerateOptions options{.max_tokens = 24, .ignore_end = true, .logit_bias = {{7, 14}, {8, 12}, {9, 10}}};
    options.sampling = {.temperature = temperature,
                        .seed = 4,
                        .repetition_penalty = 1.3f,
                        .frequency_penalty = 2,
                        .presence_penalty = 1};
    const auto whole = generate(options);
    ASSERT_EQ(whole.size(), 24u);
    std::vector<u32> begun = prompt(10);
    begun.insert(begun.end(), whole.begin(), whole.begin() + 9);
    options.max_tokens = 15;
    options.resumed = 9;
    const auto rest = test::generate(*engine_, begun, options);
    ASSERT_TRUE(rest);
    EXPECT_EQ(*rest, std::vector<u32>(whole.begin() + 9, whole.end()));
    options.resumed = 0;
    const auto other = test::generate(*engine_, begun, options);
    ASSERT_TRUE(other);
    EXPECT_NE(*other, *rest);  // else this test would show nothing
  }
}

// Log probabilities take one step at a time; the tokens are those of several in flight.
TEST_P(Adjustments, OneStepAtATimeGivesTheSameTokens) {
  for (const float temperature : {0.0f, 1.2f}) {
    GenerateOptions options{.max_tokens = 30, .ignore_end = true};
    options.sampling = {.temperature = temperature, .seed = 8, .frequency_penalty = 1.5f, .presence_penalty = 0.5f};
    const auto several = generate(options);
    options.top_logprobs = 0;
    EXPECT_EQ(generate(options), several);
    const auto masked = generate_masked(options, [](std::size_t) { return std::vector<u32>(); });
    ASSERT_TRUE(masked) << masked.error().message;
    EXPECT_EQ(*masked, several);
  }
}

TEST_P(Adjustments, AMaskAllowsATokenAtATime) {
  for (const float temperature : {0.0f, 1.0f}) {
    const GenerateOptions options{.max_tokens = 40, .sampling = {.temperature = temperature}, .ignore_end = true};
    const auto tokens = generate_masked(options, [](std::size_t number) {
      std::vector<u32> mask((vocab + 31) / 32);
      mask[(3 * number + 1) / 32] |= 1u << (3 * number + 1) % 32;
      return mask;
    });
    ASSERT_TRUE(tokens) << tokens.error().message;
    ASSERT_EQ(tokens->size(), 40u);
    for (u32 i = 0; i < 40; ++i) EXPECT_EQ((*tokens)[i], 3 * i + 1);
  }
}

TEST_P(Adjustments, MasksThatCannotBeAreRefusedAndTheEngineLives) {
  const auto masked_by = [&](std::vector<u32> mask, std::vector<graph::TokenBias> bias = {}) {
    const auto tokens =
        generate_masked({.max_tokens = 3, .logit_bias = std::move(bias)}, [&](std::size_t) { return mask; });
    engine_->session().cancel();
    EXPECT_TRUE(engine_->pump());
    return tokens ? std::string() : tokens.error().message;
  };
  EXPECT_EQ(masked_by(std::vector<u32>(3)), "a mask of 3 words is not one of 300 tokens");
  EXPECT_EQ(masked_by(std::vector<u32>(10)), "the mask and the logit bias allow no token");
  std::vector<u32> one(10);
  one[9] = 1u << 31;  // behind the last token
  EXPECT_EQ(masked_by(one), "the mask and the logit bias allow no token");
  one[2] = 1u << 5;
  EXPECT_EQ(masked_by(one, {{69, -100}}), "the mask and the logit bias allow no token");
  EXPECT_EQ(masked_by(one), "");
  EXPECT_FALSE(engine_->session().mask({}));  // nothing awaits it
}

TEST_P(Adjustments, LogprobsAreOfTheModelsOwnDistribution) {
  GenerateOptions options{.max_tokens = 1, .ignore_end = true, .top_logprobs = 20};
  const auto plain = generate(options);
  const std::vector<graph::TokenLogprob> own(engine_->session().logprobs().begin(),
                                             engine_->session().logprobs().end());
  ASSERT_EQ(own.size(), 21u);
  EXPECT_EQ(own[0].token, plain[0]);
  EXPECT_EQ(own[1].token, plain[0]);
  double sum = 0;
  for (u32 i = 1; i < own.size(); ++i) {
    sum += std::exp(double(own[i].logprob));
    if (i > 1) EXPECT_LE(own[i].logprob, own[i - 1].logprob);
  }
  EXPECT_LE(sum, 1.0001);
  EXPECT_GT(sum, 20.0 / vocab);
  // Bias and temperature choose another token, and change no probability.
  options.logit_bias = {{own[7].token, 100}};
  options.sampling.temperature = 3;
  EXPECT_EQ(generate(options), std::vector<u32>{own[7].token});
  const auto biased = engine_->session().logprobs();
  EXPECT_EQ(biased[0].token, own[7].token);
  EXPECT_FLOAT_EQ(biased[0].logprob, own[7].logprob);
  for (u32 i = 1; i < own.size(); ++i) EXPECT_EQ(biased[i].token, own[i].token);
}

TEST_P(Adjustments, RefusalsNameWhatIsWrong) {
  EXPECT_EQ(refusal({.sampling = {.repetition_penalty = 0}}), "the repetition penalty is 0, not from 0.01 to 100");
  EXPECT_EQ(refusal({.sampling = {.frequency_penalty = 2.5f}}), "the frequency penalty is 2.5, not from -2 to 2");
  EXPECT_EQ(refusal({.sampling = {.presence_penalty = -3}}), "the presence penalty is -3, not from -2 to 2");
  EXPECT_EQ(refusal({.sampling = {.presence_penalty = NAN}}).substr(0, 24), "the presence penalty is ");
  EXPECT_EQ(refusal({.logit_bias = {{300, 1}}}), "the logit bias is for token 300, not below the vocabulary size 300");
  EXPECT_EQ(refusal({.logit_bias = {{1, 101}}}), "a logit bias is 101, not from -100 to 100");
  EXPECT_EQ(refusal({.top_logprobs = 21}), "log probabilities of 21 tokens are more than 20");
  std::vector<graph::TokenBias> all;
  for (u32 token = 0; token < vocab; ++token) all.push_back({token, -100});
  EXPECT_EQ(refusal({.logit_bias = all}), "the logit bias bans all tokens");
}

// They cost no dispatch, nothing is created, and several steps stay in flight.
TEST(AdjustmentsOnADevice, CostNoDispatch) {
  auto e = test::NullEngine::load(test::model_files({}), {}, {.complete_reads = false});
  ASSERT_TRUE(e) << e.error().message;
  const gpu::Counters before = e->device->counters();
  const auto last_step = [&](const GenerateOptions& options) {
    EXPECT_TRUE(e->engine->session().start(prompt(5), options));
    EXPECT_TRUE(e->engine->pump());
    EXPECT_GE(e->device->pending_reads(), 6u);
    const std::size_t dispatches = e->device->submissions().back().dispatches.size();
    e->engine->session().cancel();
    e->device->complete_reads();
    EXPECT_TRUE(e->engine->pump());
    return dispatches;
  };
  const std::size_t plain = last_step({.max_tokens = 20});
  EXPECT_EQ(last_step({.max_tokens = 20, .sampling = {.frequency_penalty = 1}}), plain);
  EXPECT_EQ(last_step({.max_tokens = 20, .logit_bias = {{3, 1}}}), plain);
  EXPECT_EQ(last_step({.max_tokens = 20, .sampling = {.temperature = 1, .top_p = 0.5f, .presence_penalty = 1}}),
            plain + 1);
  EXPECT_EQ(last_step({.max_tokens = 20}), plain);
  EXPECT_EQ(e->device->counters().buffers_created, before.buffers_created);
  EXPECT_EQ(e->device->counters().bind_groups_created, before.bind_groups_created);
  EXPECT_TRUE(e->device->violations().empty());
}

}  // namespace
}  // namespace pronk
