// A session that is saved and restored, here or in a new engine, goes on as one that never stopped.
#include <gtest/gtest.h>

#include "support/archs.h"
#include "support/engine_driver.h"

namespace pronk::test {
namespace {

using archs::json;

struct Saved {
  std::vector<u8> head, body;
};

Saved save(Engine& engine) {
  Session& session = engine.session();
  Saved saved;
  auto head = session.save();
  EXPECT_TRUE(head) << head.error().message;
  if (!head) return saved;
  saved.head = *head;
  EXPECT_TRUE(engine.pump());
  for (u32 idle = 0; session.running() && idle < 10000; ++idle) {
    const std::span<const u8> bytes = session.next_saved();
    saved.body.insert(saved.body.end(), bytes.begin(), bytes.end());
    if (!bytes.empty()) idle = 0;
    if (session.running()) EXPECT_TRUE(bytes.empty() ? turn(engine) : engine.pump());
  }
  EXPECT_FALSE(session.running());
  return saved;
}

void restore(Engine& engine, const Saved& saved) {
  const auto bytes = engine.session().restore(saved.head);
  ASSERT_TRUE(bytes) << bytes.error().message;
  ASSERT_EQ(*bytes, saved.body.size());
  for (u64 at = 0; at < saved.body.size();) {  // in parts of odd sizes
    const u64 count = std::min<u64>(saved.body.size() - at, 4 * (1 + at % 997));
    ASSERT_TRUE(engine.session().put_saved(std::span(saved.body).subspan(at, count)));
    at += count;
  }
}

struct Answer {
  std::vector<u32> tokens;
  u32 reused = 0;
  bool operator==(const Answer&) const = default;
};

Answer answer(Engine& engine, const std::vector<u32>& prompt, u32 count) {
  const auto tokens =
      generate(engine, prompt, {.max_tokens = count, .sampling = {.temperature = 1, .seed = 3}, .ignore_end = true});
  EXPECT_TRUE(tokens) << tokens.error().message;
  return {tokens ? *tokens : std::vector<u32>(), engine.session().reused_tokens()};
}

std::vector<u32> joined(std::vector<u32> a, const std::vector<u32>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

struct Case {
  const char* name;  // of a model of archs; empty: the one in the box
  graph::KvType kv;
  bool gpu;
};

class SavedSession : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const std::string name = GetParam().name;
    std::string path = PRONK_SOURCE_DIR "/models/pronk-box.gguf";
    if (!name.empty()) path = archs::folder + "models/" + name + ".gguf";
    auto file = read_file(path);
    ASSERT_TRUE(file) << path;
    files_ = {std::move(*file)};
    if (GetParam().gpu && !gpu::create_native_device()) GTEST_SKIP() << "no WebGPU adapter";
  }

  std::unique_ptr<Engine> fresh() { return fresh(GetParam().kv, GetParam().gpu); }
  std::unique_ptr<Engine> fresh(graph::KvType kv, bool gpu) {
    std::unique_ptr<gpu::Device> device;
    if (gpu) device = std::move(*gpu::create_native_device());
    auto engine = load(files_, {.context = 300, .kv = kv, .self_test = false}, std::move(device));
    EXPECT_TRUE(engine) << engine.error().message;
    return engine ? std::move(*engine) : nullptr;
  }

  ModelFiles files_;
};

TEST_P(SavedSession, GoesOnAsOneThatNeverStopped) {
  const auto straight = fresh(), stopped = fresh(), later = fresh();
  ASSERT_TRUE(straight && stopped && later);
  const u32 vocab = straight->model().vocab_size();
  std::vector<u32> text = some_tokens(150, 11, vocab);
  const std::vector<u32> other = some_tokens(90, 12, vocab);
  for (Engine* engine : {&*straight, &*stopped}) answer(*engine, text, 20);
  text = joined(text, answer(*straight, text, 20).tokens);
  answer(*stopped, std::vector<u32>(text.begin(), text.end() - 20), 20);
  const Saved saved = save(*stopped);
  text = joined(text, some_tokens(9, 13, vocab));

  const Answer expected = answer(*straight, text, 30);
  EXPECT_GE(expected.reused, 160u);
  EXPECT_EQ(answer(*stopped, text, 30), expected) << "saving changed the session";
  answer(*later, other, 7);
  restore(*later, saved);
  EXPECT_EQ(answer(*later, text, 30), expected) << "in a new engine";
  answer(*stopped, other, 7);
  restore(*stopped, saved);
  EXPECT_EQ(answer(*stopped, text, 30), expected) << "after another conversation";

  const Saved again = save(*later), same = save(*later);
  EXPECT_EQ(again.head, same.head);
  EXPECT_EQ(again.body, same.body);
}

class SavedSessionOfGpu : public SavedSession {};

// The bytes are of no back end.
TEST_P(SavedSessionOfGpu, GoesOnOnTheCpu) {
  const auto first = fresh(), second = fresh(GetParam().kv, false);
  const u32 vocab = first->model().vocab_size();
  std::vector<u32> text = some_tokens(120, 21, vocab);
  text = joined(text, answer(*first, text, 8).tokens);
  const Saved saved = save(*first);
  restore(*second, saved);
  const Saved back = save(*second);
  EXPECT_EQ(back.head, saved.head);
  EXPECT_EQ(back.body, saved.body);
  text.push_back(5);
  EXPECT_GE(answer(*second, text, 4).reused, 120u);
}

TEST_P(SavedSession, OfAnotherKindOrDamagedChangesNothing) {
  const auto engine = fresh();
  Session& session = engine->session();
  const std::vector<u32> text = some_tokens(40, 31, engine->model().vocab_size());
  const Saved empty = save(*engine);
  EXPECT_TRUE(empty.body.empty());
  answer(*engine, text, 4);
  const Saved saved = save(*engine);
  const auto refusal = [&](std::vector<u8> head) {
    const auto bytes = session.restore(head);
    EXPECT_FALSE(bytes);
    return bytes ? std::string() : bytes.error().message;
  };
  const auto changed = [&](u32 word, u32 to) {
    std::vector<u8> head = saved.head;
    std::memcpy(head.data() + 4 * word, &to, 4);
    return head;
  };
  EXPECT_EQ(refusal({}), "the bytes are not a saved session");
  EXPECT_EQ(refusal(changed(1, 7)), "the saved session is of another version of pronk");
  EXPECT_EQ(refusal(changed(2, 7)), "the saved session is of another model");
  EXPECT_EQ(refusal(changed(4, 0)), "the saved session has another type of KV cache");
  EXPECT_EQ(refusal(changed(6, ~0u)), "the saved session is damaged");
  EXPECT_EQ(refusal(changed(7, 0)), "the saved session is damaged");
  EXPECT_TRUE(refusal(changed(9, ~0u)).starts_with("token 4294967295 is not below")) << refusal(changed(9, ~0u));
  std::vector<u8> cut = saved.head;
  cut.pop_back();
  EXPECT_EQ(refusal(cut), "the saved session is damaged");
  std::vector<u32> longer = text;
  longer.push_back(1);
  EXPECT_GE(answer(*engine, longer, 2).reused, 39u) << "what the session held is lost";

  // Bytes that end too early: the session begins anew.
  ASSERT_TRUE(session.restore(saved.head));
  ASSERT_TRUE(session.put_saved(std::span(saved.body).first(8)));
  EXPECT_FALSE(session.put_saved(std::span(saved.body).first(3)));
  EXPECT_EQ(answer(*engine, longer, 2).reused, 0u);
  EXPECT_FALSE(session.put_saved(std::span(saved.body).first(8)));
}

// The model in the box, and those of archs that are here.
std::vector<Case> cases(bool gpu) {
  std::vector<Case> all{{"", graph::KvType::q8, gpu}};
  if (!gpu) all.push_back({"", graph::KvType::f16, gpu});
  const auto add = [&](const char* name, graph::KvType kv) {
    if (read_file(archs::folder + "models/" + name + ".gguf")) all.push_back({name, kv, gpu});
  };
  for (const char* name : {"lfm2-F16", "granitehybrid-F16", "gemma3-F16"}) add(name, graph::KvType::f16);
  add("gemma3-F16", graph::KvType::q4);
  return all;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  std::string name = *c.name ? c.name : "box";
  std::replace(name.begin(), name.end(), '-', '_');
  return name +
         (c.kv == graph::KvType::f16  ? ""
          : c.kv == graph::KvType::q8 ? "_q8"
                                      : "_q4") +
         (c.gpu ? "_gpu" : "_cpu");
}

INSTANTIATE_TEST_SUITE_P(Cpu, SavedSession, testing::ValuesIn(cases(false)), case_name);
INSTANTIATE_TEST_SUITE_P(Gpu, SavedSession, testing::ValuesIn(cases(true)), case_name);
INSTANTIATE_TEST_SUITE_P(Gpu, SavedSessionOfGpu, testing::ValuesIn(cases(true)), case_name);

TEST(SavedSessionOf, AModelWithOtherWeightsIsRefused) {
  const auto file = read_file(PRONK_SOURCE_DIR "/models/pronk-box.gguf");
  if (!file) GTEST_SKIP() << "no models/pronk-box.gguf";
  ModelFiles files = {*file};
  const auto first = load(files, {.context = 64}, nullptr);
  for (u64 at = files[0].size() / 2; at < files[0].size(); at += 7) files[0][at] ^= 1;
  const auto tuned = load(files, {.context = 64}, nullptr);
  ASSERT_TRUE(first && tuned);
  const Saved saved = save(**first);
  const auto bytes = (*tuned)->session().restore(saved.head);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().message, "the saved session is of another model");
}

// The number of a model does not depend on how its bytes come.
TEST(SavedSessionOf, AMappedModelIsThatOfAStreamedOne) {
  const auto file = read_file(PRONK_SOURCE_DIR "/models/pronk-box.gguf");
  if (!file) GTEST_SKIP() << "no models/pronk-box.gguf";
  const ModelFiles files = {*file};
  const auto model = open_model(files);
  ASSERT_TRUE(model);
  const LoadOptions options{.context = 64};
  const auto mapped = Engine::create(*model, options, nullptr), streamed = Engine::create(*model, options, nullptr);
  ASSERT_TRUE(mapped && streamed);
  ASSERT_TRUE((*mapped)->map(0, *file));
  ASSERT_TRUE(feed(**streamed, files, [](u64) { return 1021; }));
  ASSERT_TRUE(wait_ready(**mapped) && wait_ready(**streamed));
  EXPECT_EQ(save(**mapped).head, save(**streamed).head);
}

}  // namespace
}  // namespace pronk::test
