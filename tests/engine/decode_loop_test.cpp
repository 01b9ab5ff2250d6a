// The decode loop on a device with no hardware: what is in flight, what is created, what is reused, what failures say.
#include <gtest/gtest.h>

#include "engine/gpu_plan.h"
#include "kernels/kernels.h"
#include "support/engine_driver.h"

namespace pronk {
namespace {

using test::ModelSpec;
using test::NullEngine;

constexpr u32 prompt_seed = 5;

std::vector<u32> prompt(u32 count, u32 seed = prompt_seed) { return test::some_tokens(count, seed, 250); }

// Fails the test when it cannot be made.
NullEngine ready_engine(const ModelSpec& spec = {}, const LoadOptions& options = {}, gpu::NullOptions null = {}) {
  auto made = NullEngine::load(test::model_files(spec), options, std::move(null));
  if (!made) {
    ADD_FAILURE() << made.error().message;
    std::abort();
  }
  EXPECT_TRUE(made->engine->ready());
  EXPECT_TRUE(made->device->violations().empty()) << made->device->violations().front();
  return std::move(*made);
}

// Sampled tokens 100, 101, 102, …
void count_up(NullEngine& e) {
  *e.sampled = [next = 100u]() mutable { return next++; };
}

TEST(DecodeLoop, StepsAreInFlightWithNoReadCompleted) {
  NullEngine e = ready_engine({}, {}, {.complete_reads = false});
  count_up(e);
  ASSERT_TRUE(e.engine->session().start(prompt(9), {.max_tokens = 20}));
  ASSERT_TRUE(e.engine->pump());
  EXPECT_GE(e.device->pending_reads(), 4u);
  EXPECT_EQ(e.device->reads().size(), e.device->pending_reads());
  std::vector<u32> tokens;
  for (u32 expected = 0; expected < 20; ++expected) {
    const u32 left = 20 - expected;
    EXPECT_GE(e.device->pending_reads(), std::min(4u, left));
    ASSERT_EQ(e.device->complete_reads(1), 1u);
    ASSERT_TRUE(e.engine->pump());
    for (u32 token; e.engine->session().next(token);) tokens.push_back(token);
    ASSERT_EQ(tokens.size(), expected + 1);
  }
  EXPECT_FALSE(e.engine->session().running());
  EXPECT_EQ(e.engine->session().finish(), Finish::length);
  for (u32 i = 0; i < 20; ++i) EXPECT_EQ(tokens[i], 100 + i);
  EXPECT_TRUE(e.device->violations().empty());
}

// Reads may finish in any order; the text is in the order of the steps.
TEST(DecodeLoop, TokensReadOutOfOrderComeOutInOrder) {
  NullEngine e = ready_engine({}, {}, {.complete_reads = false});
  ASSERT_TRUE(e.engine->session().start(prompt(5), {.max_tokens = 4}));
  ASSERT_TRUE(e.engine->pump());
  ASSERT_EQ(e.device->pending_reads(), 4u);
  std::vector<u32> tokens;
  const auto read = [&](std::size_t nth_pending, u32 token) {
    *e.sampled = [token] { return token; };
    e.device->complete_read(nth_pending);
    EXPECT_TRUE(e.engine->pump());
    for (u32 out; e.engine->session().next(out);) tokens.push_back(out);
  };
  read(2, 102);
  read(2, 103);
  EXPECT_TRUE(tokens.empty());
  read(0, 100);
  EXPECT_EQ(tokens, (std::vector<u32>{100}));
  read(0, 101);
  EXPECT_EQ(tokens, (std::vector<u32>{100, 101, 102, 103}));
  EXPECT_FALSE(e.engine->session().running());
}

TEST(DecodeLoop, PrefillDoesNotWaitForItsLastChunkBeforeItDecodes) {
  NullEngine e = ready_engine({}, {.prefill_chunk = 256}, {.complete_reads = false, .complete_work = false});
  ASSERT_TRUE(e.engine->session().start(prompt(300), {.max_tokens = 20}));
  ASSERT_TRUE(e.engine->pump());
  EXPECT_EQ(e.prefilled(0), 299u);
  EXPECT_EQ(e.device->pending_work(), 2u);
  EXPECT_GE(e.device->pending_reads(), 4u);
}

TEST(DecodeLoop, AtMostTwoChunksAreInFlight) {
  NullEngine e =
      ready_engine({.context = 2000}, {.prefill_chunk = 256}, {.complete_reads = false, .complete_work = false});
  ASSERT_TRUE(e.engine->session().start(prompt(1500), {.max_tokens = 4}));
  u32 pumps = 0;
  for (; e.device->pending_reads() == 0 && pumps < 20; ++pumps) {
    ASSERT_TRUE(e.engine->pump());
    EXPECT_LE(e.device->pending_work(), 2u);
    e.device->complete_work(1);
  }
  EXPECT_GT(pumps, 3u);
  EXPECT_EQ(e.prefilled(0), 1499u);
}

TEST(DecodeLoop, NothingIsCreatedAfterLoad) {
  NullEngine e = ready_engine({.context = 1200});
  const gpu::Counters before = e.device->counters();
  count_up(e);
  const graph::SamplingParams sampling{.temperature = 0.8f, .top_k = 20, .top_p = 0.9f, .min_p = 0.02f, .seed = 3};
  ASSERT_TRUE(test::generate(*e.engine, prompt(700), {.max_tokens = 30}));
  ASSERT_TRUE(test::generate(*e.engine, prompt(30, 6), {.max_tokens = 30, .sampling = sampling}));
  ASSERT_TRUE(e.engine->session().start(prompt(600, 7), {.max_tokens = 100}));
  ASSERT_TRUE(e.engine->pump());
  e.engine->session().cancel();
  ASSERT_TRUE(test::generate(*e.engine, prompt(1, 8), {.max_tokens = 3}));
  const gpu::Counters after = e.device->counters();
  EXPECT_EQ(after.buffers_created, before.buffers_created);
  EXPECT_EQ(after.bind_groups_created, before.bind_groups_created);
  EXPECT_EQ(after.pipelines_created, before.pipelines_created);
  EXPECT_EQ(after.bytes, before.bytes);
  EXPECT_GT(after.submits, before.submits);
  EXPECT_TRUE(e.device->violations().empty()) << e.device->violations().front();
}

void expect_frugal(const ModelSpec& spec, const graph::SamplingParams& sampling) {
  constexpr u32 count = 12;
  NullEngine e = ready_engine(spec);
  count_up(e);
  const gpu::Counters before = e.device->counters();
  ASSERT_TRUE(test::generate(*e.engine, prompt(1), {.max_tokens = count, .sampling = sampling}));
  const gpu::Counters after = e.device->counters();
  EXPECT_LE(after.dispatches - before.dispatches, count * (8 * spec.layers + 6));
  EXPECT_EQ(after.submits - before.submits, count);
  EXPECT_EQ(after.passes - before.passes, count);
  EXPECT_EQ(after.reads - before.reads, count);
  EXPECT_EQ(after.readback_bytes - before.readback_bytes, count * 4);
  const RunCounters run = e.engine->run_counters();
  EXPECT_LE(run.dispatches_per_token, 8 * spec.layers + 6);
  EXPECT_EQ(run.submits_per_token, 1);
  EXPECT_EQ(run.readback_bytes_per_token, 4);
}

TEST(DecodeLoop, FewDispatchesOneSubmitFourBytesAToken) {
  for (const char* arch : {"llama", "qwen2", "qwen3"}) {
    for (const u32 layers : {1u, 5u}) {
      SCOPED_TRACE(arch);
      expect_frugal({.arch = arch, .layers = layers}, {});
      expect_frugal({.arch = arch, .layers = layers, .tied = false},
                    {.temperature = 1, .top_k = 5, .top_p = 0.5f, .min_p = 0.1f});
    }
  }
  expect_frugal({.bias = true}, {});
  // As files of mixed formats are: v and down are stored better than the rest, v apart from q and k.
  expect_frugal({.layers = 7, .matrix = "Q4_0", .formats = {{"attn_v", "Q8_0"}, {"ffn_down", "Q8_0"}}}, {});
}

TEST(Session, ACommonPrefixIsNotComputedAgain) {
  NullEngine e = ready_engine();
  count_up(e);
  Session& session = e.engine->session();
  std::vector<u32> tokens = prompt(40);
  const auto first = test::generate(*e.engine, tokens, {.max_tokens = 6});
  ASSERT_TRUE(first);
  EXPECT_EQ(session.reused_tokens(), 0u);
  EXPECT_EQ(e.prefilled(0), 39u);

  // The answer's last token was sampled, but never fed.
  tokens.insert(tokens.end(), first->begin(), first->end());
  for (const u32 token : {7u, 8u, 9u}) tokens.push_back(token);
  std::size_t submits = e.device->submissions().size();
  ASSERT_TRUE(test::generate(*e.engine, tokens, {.max_tokens = 2}));
  EXPECT_EQ(session.reused_tokens(), 45u);
  EXPECT_EQ(e.prefilled(submits), 3u);

  // The same again: only the last token is fed.
  submits = e.device->submissions().size();
  ASSERT_TRUE(test::generate(*e.engine, tokens, {.max_tokens = 2}));
  EXPECT_EQ(session.reused_tokens(), tokens.size() - 1);
  EXPECT_EQ(e.prefilled(submits), 0u);

  // A prompt that parts at the tenth token.
  std::vector<u32> other = prompt(30);
  other[9] = 251;
  submits = e.device->submissions().size();
  ASSERT_TRUE(test::generate(*e.engine, other, {.max_tokens = 2}));
  EXPECT_EQ(session.reused_tokens(), 9u);
  EXPECT_EQ(e.prefilled(submits), 20u);
}

TEST(Session, CancelledTokensNeverComeOut) {
  NullEngine e = ready_engine({}, {}, {.complete_reads = false});
  count_up(e);
  Session& session = e.engine->session();
  ASSERT_TRUE(session.start(prompt(10), {.max_tokens = 50}));
  ASSERT_TRUE(e.engine->pump());
  e.device->complete_reads(2);
  ASSERT_TRUE(e.engine->pump());
  u32 token = 0;
  ASSERT_TRUE(session.next(token));
  EXPECT_EQ(token, 100u);
  session.cancel();
  EXPECT_FALSE(session.running());
  EXPECT_EQ(session.finish(), Finish::cancelled);
  EXPECT_FALSE(session.next(token));

  // A new start while old reads are on their way: the old ones are dropped, the new ones come in order.
  const std::size_t old_reads = e.device->pending_reads();
  EXPECT_GT(old_reads, 0u);
  ASSERT_TRUE(session.start(prompt(10), {.max_tokens = 8}));
  EXPECT_EQ(session.reused_tokens(), 9u);
  *e.sampled = [next = 0u, old_reads]() mutable { return next++ < old_reads ? 77u : 200u + next - u32(old_reads) - 1; };
  std::vector<u32> tokens;
  for (u32 turns = 0; session.running() && turns < 100; ++turns) {
    ASSERT_TRUE(e.engine->pump());
    e.device->complete_reads(1);
    ASSERT_TRUE(e.engine->pump());
    while (session.next(token)) tokens.push_back(token);
  }
  EXPECT_EQ(tokens, (std::vector<u32>{200, 201, 202, 203, 204, 205, 206, 207}));
  EXPECT_EQ(session.finish(), Finish::length);
  EXPECT_TRUE(e.device->violations().empty()) << e.device->violations().front();
}

TEST(Session, CancelDuringPrefill) {
  NullEngine e = ready_engine({.context = 2000}, {.prefill_chunk = 256}, {.complete_work = false});
  ASSERT_TRUE(e.engine->session().start(prompt(1500), {}));
  ASSERT_TRUE(e.engine->pump());
  e.engine->session().cancel();
  e.device->complete_work();
  ASSERT_TRUE(e.engine->pump());
  EXPECT_FALSE(e.engine->session().running());
  count_up(e);
  ASSERT_TRUE(e.engine->session().start(prompt(600), {.max_tokens = 3}));
  EXPECT_EQ(e.engine->session().reused_tokens(), 512u);  // two chunks had been submitted
  for (u32 i = 0; i < 10; ++i) {
    ASSERT_TRUE(e.engine->pump());
    e.device->complete_work();
  }
  const auto tokens = test::finish_generation(*e.engine);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->size(), 3u);
}

TEST(Session, EndTokenEndsAndStepsBehindItAreIgnored) {
  NullEngine e = ready_engine();
  const auto script = [&](u32 end_at) {
    *e.sampled = [next = 0u, end_at]() mutable {
      const u32 at = next++;
      return at < end_at ? 100 + at : at == end_at ? 2u : kernels::no_token;
    };
  };
  script(3);
  auto tokens = test::generate(*e.engine, prompt(5), {.max_tokens = 30});
  ASSERT_TRUE(tokens);
  EXPECT_EQ(*tokens, (std::vector<u32>{100, 101, 102, 2}));
  EXPECT_EQ(e.engine->session().finish(), Finish::end_token);
  *e.sampled = [] { return 2u; };
  tokens = test::generate(*e.engine, prompt(5), {.max_tokens = 9, .ignore_end = true});
  ASSERT_TRUE(tokens);
  EXPECT_EQ(*tokens, std::vector<u32>(9, 2));
  EXPECT_EQ(e.engine->session().finish(), Finish::length);
}

// A run that goes on from another's tokens draws as that one would have: the step of the noise goes on too.
TEST(Session, AResumedRunGoesOnAsTheUninterruptedOne) {
  const auto files = test::model_files({});
  const graph::SamplingParams sampling{.temperature = 2, .seed = 9};
  auto whole = test::load(files, {.context = 64}, nullptr);
  ASSERT_TRUE(whole);
  const auto expected =
      test::generate(**whole, prompt(10), {.max_tokens = 20, .sampling = sampling, .ignore_end = true});
  ASSERT_TRUE(expected);
  std::vector<u32> tokens = prompt(10);
  tokens.insert(tokens.end(), expected->begin(), expected->begin() + 8);
  auto other = test::load(files, {.context = 64}, nullptr);
  ASSERT_TRUE(other);
  const auto rest =
      test::generate(**other, tokens, {.max_tokens = 12, .sampling = sampling, .ignore_end = true, .resumed = 8});
  ASSERT_TRUE(rest);
  EXPECT_EQ(*rest, std::vector<u32>(expected->begin() + 8, expected->end()));

  // On a GPU the step is in the state that the first decode step finds.
  NullEngine e = ready_engine({}, {}, {.keep_write_contents = true});
  const std::size_t before = e.device->writes().size();
  ASSERT_TRUE(test::generate(*e.engine, tokens, {.max_tokens = 1, .sampling = sampling, .resumed = 8}));
  std::vector<u32> steps;
  for (std::size_t i = before; i < e.device->writes().size(); ++i) {
    const auto& contents = e.device->writes()[i].contents;
    if (contents.size() != sizeof(kernels::StepState)) continue;
    kernels::StepState state;
    std::memcpy(&state, contents.data(), sizeof state);
    if (state.remaining > 0) steps.push_back(state.step);
  }
  EXPECT_EQ(steps, std::vector<u32>{8});
}

TEST(Session, ContextFull) {
  for (const bool gpu : {true, false}) {
    const auto files = test::model_files({});
    std::unique_ptr<gpu::Device> device;
    if (gpu) device = std::make_unique<gpu::NullDevice>();
    auto engine = test::load(files, {.context = 32}, std::move(device));
    ASSERT_TRUE(engine) << engine.error().message;
    Session& session = (*engine)->session();
    const GenerateOptions options{.max_tokens = 100, .ignore_end = true};
    auto tokens = test::generate(**engine, prompt(20), options);
    ASSERT_TRUE(tokens);
    EXPECT_EQ(tokens->size(), 13u);  // the last one is sampled at position 31 and cannot be fed
    EXPECT_EQ(session.finish(), Finish::context_full);
    tokens = test::generate(**engine, prompt(32, 9), options);
    ASSERT_TRUE(tokens);
    EXPECT_EQ(tokens->size(), 1u);
    EXPECT_EQ(session.finish(), Finish::context_full);
    const Status refused = session.start(prompt(33), options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "the prompt has 33 tokens, more than the context length 32");
    tokens = test::generate(**engine, prompt(31, 9), {.max_tokens = 2, .ignore_end = true});
    ASSERT_TRUE(tokens);
    EXPECT_EQ(tokens->size(), 2u);
    EXPECT_EQ(session.finish(), Finish::length);
  }
}

TEST(Session, NoneAndOneToken) {
  for (const bool gpu : {true, false}) {
    std::unique_ptr<gpu::Device> device;
    if (gpu) device = std::make_unique<gpu::NullDevice>();
    auto engine = test::load(test::model_files({}), {.context = 64}, std::move(device));
    ASSERT_TRUE(engine) << engine.error().message;
    for (const u32 wanted : {0u, 1u, 0u, 2u}) {
      for (const u32 length : {1u, 2u, 40u}) {
        const auto tokens = test::generate(**engine, prompt(length), {.max_tokens = wanted, .ignore_end = true});
        ASSERT_TRUE(tokens) << tokens.error().message;
        EXPECT_EQ(tokens->size(), wanted);
        EXPECT_EQ((*engine)->session().finish(), Finish::length);
      }
    }
  }
}

TEST(Session, WrongCallsAreErrors) {
  for (const bool gpu : {true, false}) {
    SCOPED_TRACE(gpu ? "GPU" : "CPU");
    std::unique_ptr<gpu::Device> device;
    if (gpu) device = std::make_unique<gpu::NullDevice>(gpu::NullOptions{.complete_reads = false});
    const auto files = test::model_files({});
    auto model = test::open_model(files);
    auto engine = Engine::create(*model, {.context = 64}, std::move(device));
    ASSERT_TRUE(engine);
    Session& session = (*engine)->session();
    const auto message = [](const Status& status) { return status ? "" : status.error().message; };
    EXPECT_EQ(message(session.start(prompt(3), {})), "the model is still loading");
    EXPECT_EQ(message(session.score(prompt(3), false)), "the model is still loading");
    ASSERT_TRUE(test::feed(**engine, files));
    EXPECT_EQ(message(session.start({}, {})), "the prompt is empty");
    EXPECT_EQ(message(session.start(std::vector<u32>{1, 300}, {})), "token 300 is not below the vocabulary size 300");
    EXPECT_EQ(message(session.score(prompt(3), false)), "the model was loaded without memory for scoring");
    EXPECT_FALSE(session.running());
    ASSERT_TRUE(session.start(prompt(3), {}));
    EXPECT_EQ(message(session.start(prompt(3), {})), "a generation is still running");
  }
}

TEST(Session, ScoresInChunks) {
  NullEngine e = ready_engine({}, {.context = 100, .scoring = true});
  for (const bool by_steps : {false, true}) {
    const std::size_t submits = e.device->submissions().size();
    const auto logits = test::score(*e.engine, prompt(75), by_steps);
    ASSERT_TRUE(logits) << logits.error().message;
    EXPECT_EQ(logits->size(), 75u * 300);
    EXPECT_EQ(e.device->submissions().size() - submits, by_steps ? 75u : 3u);
    EXPECT_EQ(e.prefilled(submits), by_steps ? 0u : 75u);
  }
  EXPECT_TRUE(e.device->violations().empty()) << e.device->violations().front();
}

TEST(Session, ACancelledScoresRowsNeverComeOut) {
  NullEngine e = ready_engine({}, {.context = 100, .scoring = true}, {.complete_reads = false});
  Session& session = e.engine->session();
  ASSERT_TRUE(session.score(prompt(75), false));
  ASSERT_TRUE(e.engine->pump());
  ASSERT_EQ(e.device->pending_reads(), 1u);
  session.cancel();
  EXPECT_FALSE(session.running());
  ASSERT_TRUE(session.score(prompt(5), false));
  u64 floats = 0;
  for (u32 turns = 0; session.running() && turns < 20; ++turns) {
    ASSERT_TRUE(e.engine->pump());
    e.device->complete_reads(1);
    ASSERT_TRUE(e.engine->pump());
    floats += session.next_rows().size();
  }
  EXPECT_FALSE(session.running());
  EXPECT_EQ(floats, 5u * 300);

  // Cancelled with rows that nobody has taken yet.
  ASSERT_TRUE(session.score(prompt(75), false));
  ASSERT_TRUE(e.engine->pump());
  e.device->complete_reads();
  ASSERT_TRUE(e.engine->pump());
  session.cancel();
  EXPECT_FALSE(session.running());
  EXPECT_TRUE(session.next_rows().empty());
  EXPECT_TRUE(e.device->violations().empty());
}

// ---- Failures

void expect_one_line(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// The first error stays, whatever is called later.
void expect_failed(Engine& engine, std::string_view part) {
  const Status first = engine.pump();
  ASSERT_FALSE(first);
  expect_one_line(first.error().message, part);
  EXPECT_FALSE(engine.ready());
  EXPECT_FALSE(engine.wants_bytes());
  EXPECT_FALSE(engine.wants_pump());
  const std::string message = first.error().message;
  for (const Status& again : {engine.pump(), engine.commit(4), engine.session().start(prompt(3), {}),
                              engine.session().score(prompt(3), false)}) {
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message, message);
  }
}

TEST(Failure, BufferRefused) {
  auto e = NullEngine::create(test::make_model({}), {}, {.memory_budget = 20000});
  ASSERT_TRUE(e);
  const Status fed = test::feed(*e->engine, test::model_files({}));  // the first bytes ask for the memory
  ASSERT_FALSE(fed);
  expect_failed(*e->engine, "the device refused memory");
  const std::string message = e->engine->pump().error().message;
  for (const char* part :
       {"; the plan needs ", "KV cache", "; half the context needs ", "; a KV cache of 8 bits needs "}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(Failure, PipelineRefused) {
  const auto files = test::model_files({});
  auto e = NullEngine::load(files, {}, {.complete_pipelines = false});
  ASSERT_TRUE(e) << e.error().message;
  EXPECT_FALSE(e->engine->ready());
  e->device->complete_pipelines(2);
  e->device->fail_pipeline(gpu::PipelineId(4), "no such builtin\n  line 3 of the shader\n");
  expect_failed(*e->engine, "the device refused kernel '" + e->device->pipeline(gpu::PipelineId(4)).desc.label +
                                "': no such builtin");
}

TEST(Failure, PipelinesMayBeReadyAfterTheWeights) {
  auto e = NullEngine::load(test::model_files({}), {}, {.complete_pipelines = false});
  ASSERT_TRUE(e);
  EXPECT_FALSE(e->engine->ready());
  e->device->complete_pipelines();
  ASSERT_TRUE(e->engine->pump());
  EXPECT_TRUE(e->engine->ready());
}

TEST(Failure, DeviceLost) {
  NullEngine e = ready_engine({}, {}, {.complete_reads = false});
  ASSERT_TRUE(e.engine->session().start(prompt(3), {}));
  ASSERT_TRUE(e.engine->pump());
  e.device->complete_reads(1);
  ASSERT_TRUE(e.engine->pump());
  e.device->lose("the driver was reset\nand says so in two lines");
  expect_failed(*e.engine, "");
}

TEST(Failure, DeviceLostWhileIdle) {
  NullEngine e = ready_engine();
  e.device->lose("unplugged");
  expect_failed(*e.engine, "the device was lost: unplugged");
}

TEST(Failure, ErrorEvent) {
  NullEngine e = ready_engine();
  const gpu::BufferId buffer = e.device->create_buffer({.size = 16, .usage = gpu::usage_storage});
  e.device->begin();
  e.device->copy_buffer(buffer, 0, buffer, 8, 4);
  e.device->submit();
  expect_failed(*e.engine, "the device reported an error: copy_buffer");
}

}  // namespace
}  // namespace pronk
