// Whole models on WebGPU against the CPU and against exact logits; both ways through the engine: prefill and steps.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "models/model.h"
#include "support/engine_driver.h"
#include "support/files.h"
#include "support/limited_device.h"
#include "tune/tuner.h"

namespace pronk::test {
namespace {

using graph::KvType;
using nlohmann::json;

double relative_error(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    size += double(b[i]) * b[i];
  }
  return std::sqrt(difference / size);
}

// Σ p (log p - log q) of a row of logits, in nats, on average.
double mean_divergence(std::span<const float> exact, std::span<const float> got, u64 rows) {
  const u64 vocab = exact.size() / rows;
  double divergence = 0;
  for (u64 row = 0; row < rows; ++row) {
    const auto a = exact.subspan(row * vocab, vocab), b = got.subspan(row * vocab, vocab);
    double sum_a = 0, sum_b = 0;
    for (u64 i = 0; i < vocab; ++i) sum_a += std::exp(double(a[i])), sum_b += std::exp(double(b[i]));
    for (u64 i = 0; i < vocab; ++i)
      divergence += std::exp(double(a[i])) / sum_a * (double(a[i]) - b[i] + std::log(sum_b / sum_a));
  }
  return divergence / double(rows);
}

// Null, with the reason in why, when the machine has no adapter.
std::unique_ptr<gpu::Device> open_device(const gpu::NativeOptions& options, std::string& why) {
  auto device = gpu::create_native_device(options);
  if (!device) why = device.error().message;
  return device ? std::move(*device) : nullptr;
}

class GpuModel : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (open_device({}, why)) return;
    ASSERT_TRUE(why.starts_with("no WebGPU adapter")) << why;
    GTEST_SKIP() << why;
  }

  static std::unique_ptr<gpu::Device> device(const gpu::NativeOptions& options = {}) {
    std::string why;
    auto device = open_device(options, why);
    EXPECT_TRUE(device) << why;
    return device;
  }

  static std::unique_ptr<Engine> engine(const ModelFiles& files, const LoadOptions& options,
                                        std::unique_ptr<gpu::Device> device) {
    auto engine = load(files, options, std::move(device));
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    return engine ? std::move(*engine) : nullptr;
  }

  static std::vector<float> logits(Engine& engine, const std::vector<u32>& tokens, bool by_steps = false) {
    auto result = score(engine, tokens, by_steps);
    EXPECT_TRUE(result.has_value()) << result.error().message;
    return result ? *result : std::vector<float>();
  }

  static std::vector<u32> tokens(Engine& engine, const std::vector<u32>& prompt, const GenerateOptions& options) {
    auto result = generate(engine, prompt, options);
    EXPECT_TRUE(result.has_value()) << result.error().message;
    return result ? *result : std::vector<u32>();
  }
};

// ---- Own models: these run on every machine with an adapter

const std::vector<ModelSpec>& own_models() {
  static const std::vector<ModelSpec> models{
      {.matrix = "BF16"},
      {.arch = "qwen2", .vocab = 1030, .heads = 7, .kv_heads = 1, .dim = 32, .tied = false, .matrix = "Q4_0"},
      {.arch = "qwen3",
       .width = 96,
       .heads = 4,
       .kv_heads = 2,
       .dim = 64,
       .matrix = "Q8_0",
       .formats = {{"attn_v", "F16"}, {"ffn_up", "Q4_0"}}},
      {.width = 52,
       .feed_forward = 75,
       .vocab = 263,
       .heads = 3,
       .kv_heads = 3,
       .dim = 20,
       .rotated = 10,
       .yarn = 4,
       .factors = true,
       .bias = true,
       .matrix = "F16"},
  };
  return models;
}

TEST_F(GpuModel, LogitsOfOwnModelsEqualTheCpus) {
  for (const ModelSpec& spec : own_models()) {
    SCOPED_TRACE(spec.arch + " " + spec.matrix);
    const ModelFiles files = model_files(spec);
    const std::vector<u32> sequence = some_tokens(75, 4, spec.vocab);
    for (const KvType kv : {KvType::f32, KvType::f16}) {
      const LoadOptions options{.context = 80, .kv = kv, .activations = graph::Activations::f32, .scoring = true};
      const auto cpu = engine(files, options, nullptr), gpu = engine(files, options, device());
      ASSERT_TRUE(cpu && gpu);
      const auto expected = logits(*cpu, sequence);
      ASSERT_EQ(expected.size(), 75u * spec.vocab);
      const double tolerance = kv == KvType::f32 ? 1e-5 : 1e-3;  // f16: a value may round to the other side
      EXPECT_LE(relative_error(logits(*gpu, sequence), expected), tolerance);
      EXPECT_LE(relative_error(logits(*gpu, sequence, true), expected), tolerance);
      EXPECT_LE(relative_error(logits(*cpu, sequence, true), expected), tolerance);
    }
  }
}

// The GPU's sampling end to end: the same tokens for a seed on both back ends, and again on the same engine.
TEST_F(GpuModel, SampledTokensEqualTheCpus) {
  const graph::SamplingParams settings[] = {
      {.temperature = 1.1f, .top_k = 50, .top_p = 0.95f, .min_p = 0.01f, .seed = u64{1} << 40 | 5},
      {},
      {.temperature = 0.8f, .seed = 1},
      {.temperature = 1, .top_k = 40, .seed = 2},
      {.temperature = 1.2f, .top_p = 0.9f, .seed = 3},
      {.temperature = 0.9f, .min_p = 0.05f, .seed = 4}};
  for (const ModelSpec& spec : own_models()) {
    SCOPED_TRACE(spec.arch + " " + spec.matrix);
    const u32 count = &spec == &own_models()[0] ? u32(std::size(settings)) : 1;
    const ModelFiles files = model_files(spec);
    const LoadOptions options{.context = 100, .kv = KvType::f32, .activations = graph::Activations::f32};
    const auto cpu = engine(files, options, nullptr), gpu = engine(files, options, device());
    ASSERT_TRUE(cpu && gpu);
    std::set<std::vector<u32>> different;
    for (const auto& sampling : std::span(settings, count)) {
      const GenerateOptions generate{.max_tokens = 64, .sampling = sampling, .ignore_end = true};
      const auto prompt = some_tokens(20, 6, spec.vocab);
      const auto expected = tokens(*cpu, prompt, generate);
      EXPECT_EQ(expected.size(), 64u);
      EXPECT_EQ(tokens(*gpu, prompt, generate), expected)
          << "temperature " << sampling.temperature << " seed " << sampling.seed;
      different.insert(expected);
    }
    EXPECT_EQ(different.size(), count);
  }
}

// Prompts that share a prefix with what the cache holds, and what a cancelled run left there, change nothing.
TEST_F(GpuModel, ReusingTheCacheChangesNothing) {
  const ModelFiles files = model_files({.context = 600, .matrix = "Q8_0"});
  const auto first = engine(files, {}, device()), other = engine(files, {}, device());
  ASSERT_TRUE(first && other);
  const GenerateOptions options{.max_tokens = 12, .ignore_end = true};
  auto prompt = some_tokens(300, 1, 300);
  // With nothing of the prompt in the cache: its first token is another's.
  const auto expected_of = [&](const std::vector<u32>& p) {
    tokens(*other, {(p[0] + 1) % 300}, {.max_tokens = 1});
    const auto result = tokens(*other, p, options);
    EXPECT_EQ(other->session().reused_tokens(), 0u);
    return result;
  };
  EXPECT_EQ(tokens(*first, prompt, options), expected_of(prompt));

  const auto answer = tokens(*first, prompt, options);
  EXPECT_EQ(first->session().reused_tokens(), 299u);
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  prompt.push_back(7);
  EXPECT_EQ(tokens(*first, prompt, options), expected_of(prompt));
  EXPECT_EQ(first->session().reused_tokens(), 311u);

  ASSERT_TRUE(first->session().start(some_tokens(400, 2, 300), {.max_tokens = 100}));
  ASSERT_TRUE(first->pump());
  ASSERT_TRUE(turn(*first));
  first->session().cancel();
  prompt.resize(150);
  EXPECT_EQ(tokens(*first, prompt, options), expected_of(prompt));
}

gpu::Limits low_limits(u32 binding = 20000) {
  gpu::Limits limits;
  limits.max_storage_buffer_binding_size = binding;
  limits.max_buffer_size = 3 * binding;
  return limits;
}

// Matrices cut into parts, weights in several buffers: not one digit differs.
TEST_F(GpuModel, LowLimitsGiveTheSameLogits) {
  for (const bool tied : {true, false}) {
    const ModelSpec spec{.width = 128,
                         .feed_forward = 288,
                         .vocab = 603,
                         .heads = 4,
                         .kv_heads = 2,
                         .dim = 32,
                         .tied = tied,
                         .bias = true,
                         .matrix = tied ? "F16" : "Q4_0"};
    const ModelFiles files = model_files(spec);
    const LoadOptions options{.context = 40, .kv = KvType::f32, .scoring = true};
    const auto whole = engine(files, options, device());
    ASSERT_TRUE(whole);
    // Few tokens a chunk, and so many that both take the other kind of product.
    for (const auto& [count, binding] :
         {std::pair{kernels::batch_limit, 20000u}, std::pair{kernels::batch_limit + 1, 42000u}}) {
      const auto cut = engine(files, options, std::make_unique<LimitedDevice>(device(), low_limits(binding)));
      ASSERT_TRUE(cut);
      const auto sequence = some_tokens(count, 8, spec.vocab);
      for (const bool by_steps : {false, true})
        EXPECT_TRUE(logits(*cut, sequence, by_steps) == logits(*whole, sequence, by_steps));
      EXPECT_EQ(tokens(*cut, sequence, {.max_tokens = 5}), tokens(*whole, sequence, {.max_tokens = 5}));
    }
  }
}

// Products whose k is split: nearly what they are without, and again not one digit differs where matrices are cut.
TEST_F(GpuModel, SplitProducts) {
  for (const bool gated : {true, false}) {
    const ModelSpec spec{.width = 512,
                         .feed_forward = 288,
                         .heads = 8,
                         .kv_heads = 2,
                         .dim = 64,
                         .bias = !gated,
                         .matrix = gated ? "F32" : "Q8_0"};
    const ModelFiles files = model_files(spec);
    const LoadOptions plain{.context = 40, .kv = KvType::f32, .scoring = true};
    LoadOptions split = plain;
    auto tuning = std::make_shared<kernels::Tuning>();
    tuning->fall_back("gemm *", "64x128/4");
    split.tuning = tuning;
    const auto whole = engine(files, plain, device()), split_whole = engine(files, split, device());
    const auto cut = engine(files, split, std::make_unique<LimitedDevice>(device(), low_limits(400000)));
    ASSERT_TRUE(whole && split_whole && cut);
    const auto sequence = some_tokens(30, 8, spec.vocab);
    const std::vector<float> expected = logits(*whole, sequence), got = logits(*split_whole, sequence);
    EXPECT_LE(relative_error(got, expected), 1e-5);
    EXPECT_NE(got, expected);  // these kernels, and not others
    EXPECT_EQ(logits(*cut, sequence), got);
    EXPECT_EQ(logits(*split_whole, some_tokens(kernels::batch_limit, 8, spec.vocab)),
              logits(*whole, some_tokens(kernels::batch_limit, 8, spec.vocab)));
  }
}

// So few workgroups in a row that a matvec's grid has several: its rows come from y too.
TEST_F(GpuModel, FewWorkgroupsInARowGiveTheSameLogits) {
  const ModelSpec spec{.feed_forward = 288, .vocab = 603};
  const ModelFiles files = model_files(spec);
  const LoadOptions options{.context = 40, .kv = KvType::f32, .scoring = true};
  gpu::Limits limits;
  limits.max_compute_workgroups_per_dimension = 40;
  const auto whole = engine(files, options, device());
  const auto folded = engine(files, options, std::make_unique<LimitedDevice>(device(), limits));
  ASSERT_TRUE(whole && folded);
  const auto sequence = some_tokens(kernels::batch_limit, 8, spec.vocab);
  for (const bool by_steps : {false, true})
    EXPECT_TRUE(logits(*folded, sequence, by_steps) == logits(*whole, sequence, by_steps));
}

TEST_F(GpuModel, DefaultLimitsAndNoFeaturesGiveTheSameTokens) {
  const ModelFiles files = model_files({.arch = "qwen3", .matrix = "Q4_0"});
  const auto plain = engine(files, {}, device({.default_limits = true, .no_features = true}));
  const auto full = engine(files, {}, device());
  ASSERT_TRUE(plain && full);
  const GenerateOptions options{
      .max_tokens = 40, .sampling = {.temperature = 1, .top_k = 20, .seed = 1}, .ignore_end = true};
  EXPECT_EQ(tokens(*plain, some_tokens(9, 1, 300), options), tokens(*full, some_tokens(9, 1, 300), options));
}

TEST_F(GpuModel, PlanEqualsTheAllocation) {
  const LoadOptions options{.context = 333};
  const auto loaded = engine(model_files({.matrix = "Q8_0"}), options, device());
  ASSERT_TRUE(loaded);
  const auto plan = loaded->model().plan(options, &loaded->device()->limits(), &loaded->device()->features());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->memory, loaded->allocated());
  tokens(*loaded, some_tokens(200, 1, 300), {.max_tokens = 10});
  EXPECT_EQ(plan->memory, loaded->allocated());
  const RunCounters counters = loaded->run_counters();
  EXPECT_EQ(counters.buffers_created_after_load + counters.bind_groups_created_after_load +
                counters.pipelines_created_after_load,
            0u);
  EXPECT_EQ(counters.readback_bytes_per_token, 4);
}

// ---- ../shared/vectors/logits, which not every machine has

class GpuVectors : public GpuModel {
 protected:
  void SetUp() override {
    GpuModel::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (index().is_null()) GTEST_SKIP() << "no " << folder() << "index.json on this machine";
  }
  static std::string folder() { return shared_path("vectors/logits/"); }
  static const json& index() {
    static const json parsed = [] {
      const auto bytes = read_file(folder() + "index.json");
      return bytes ? json::parse(*bytes) : json();
    }();
    return parsed;
  }
  static std::vector<float> exact(const json& sequence) {
    const auto bytes = read_file(folder() + std::string(sequence["exact_file"]));
    std::vector<float> floats(bytes ? bytes->size() / 4 : 0);
    if (bytes) std::memcpy(floats.data(), bytes->data(), floats.size() * 4);
    return floats;
  }

  // Candidate `name` for all products of one token that have it.
  static std::shared_ptr<const kernels::Tuning> choice(const ModelFiles& files, const LoadOptions& options,
                                                       const std::string& name,
                                                       kernels::TunedKernel kernel = kernels::TunedKernel::matvec) {
    const auto on = device();
    const auto model = open_model(files);
    CHECK(model);
    const auto tuner = tune::Tuner::create(**model, options, *on, 0);
    CHECK(tuner);
    auto tuning = std::make_shared<kernels::Tuning>();
    for (const tune::Problem& problem : (*tuner)->problems())
      if (problem.kernel == kernel) tuning->choose(problem.key, name);
    return tuning;
  }

  static void check_logits(KvType kv, double tolerance) {
    std::set<std::string> types;
    double worst = 0;
    for (const json& entry : index()["models"]) {
      const std::string type = entry["type"];
      if (!formats::find(type)) continue;  // formats of later issues
      types.insert(type);
      const auto file = read_file(folder() + std::string(entry["file"]));
      ASSERT_TRUE(file);
      const auto loaded = engine({*file}, {.context = 80, .kv = kv, .scoring = true}, device());
      ASSERT_TRUE(loaded);
      bool first = true;  // its shortest sequence, which also goes step by step
      for (const json& sequence : entry["sequences"]) {
        SCOPED_TRACE(std::string(entry["name"]) + "." + std::string(sequence["tag"]));
        const auto expected = exact(sequence);
        ASSERT_FALSE(expected.empty());
        for (const bool by_steps : {false, true}) {
          if (by_steps && !std::exchange(first, false)) continue;
          const double error = relative_error(logits(*loaded, sequence["tokens"], by_steps), expected);
          EXPECT_LE(error, tolerance) << (by_steps ? "by steps" : "by prefill");
          worst = std::max(worst, error);
        }
      }
    }
    for (const char* type : {"F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"}) EXPECT_TRUE(types.contains(type)) << type;
    std::printf("largest relative error %.2e\n", worst);
  }

  // The reference's greedy continuations of stories260K: 64 tokens of three prompts.
  static void check_story(const gpu::NativeOptions& native, KvType kv) {
    const auto file = read_file(shared_path("models/stories260K.gguf"));
    ASSERT_TRUE(file);
    ASSERT_EQ(index()["models"][0]["name"], "stories260K");
    const auto loaded = engine({*file}, {.kv = kv}, device(native));
    ASSERT_TRUE(loaded);
    u32 prompts = 0;
    for (const json& sequence : index()["models"][0]["sequences"]) {
      if (!sequence.contains("greedy")) continue;
      const std::vector<u32> expected = sequence["greedy"]["tokens"];
      ASSERT_EQ(expected.size(), 64u);
      EXPECT_EQ(tokens(*loaded, sequence["tokens"], {.max_tokens = 64}), expected) << std::string(sequence["tag"]);
      ++prompts;
    }
    EXPECT_EQ(prompts, 3u);
  }
};

TEST_F(GpuVectors, Logits) { check_logits(KvType::f32, 1e-4); }
// Decode by integer products, in the limits of ../shared/vectors for activations of 8 bits.
TEST_F(GpuVectors, LogitsOfIntegerProducts) {
  u32 models = 0;
  for (const json& entry : index()["models"]) {
    const std::string type = entry["type"];
    if (type != "Q8_0" && !type.starts_with("Q4_") && type != "Q6_K") continue;
    SCOPED_TRACE(std::string(entry["name"]));
    const auto file = read_file(folder() + std::string(entry["file"]));
    ASSERT_TRUE(file);
    const json& sequence = entry["sequences"][0];
    const auto expected = exact(sequence);
    const auto by = [&](graph::Activations activations) {
      LoadOptions options{.context = 80, .activations = activations, .scoring = true};
      options.tuning = choice({*file}, options, "8x8x32+int8");
      const auto loaded = engine({*file}, options, device());
      return loaded ? logits(*loaded, sequence["tokens"], true) : std::vector<float>();
    };
    const std::vector<float> got = by(graph::Activations::q8);
    ASSERT_EQ(got.size(), expected.size());
    EXPECT_LE(mean_divergence(expected, got, sequence["tokens"].size()), 1e-3);
    double largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i) largest = std::max(largest, std::fabs(double(got[i]) - expected[i]));
    EXPECT_LE(largest, 0.3);
    EXPECT_GT(relative_error(got, expected), 1e-3);  // these kernels, and not others
    if (models++ == 0) EXPECT_LE(relative_error(by(graph::Activations::f32), expected), 1e-3);
  }
  EXPECT_GT(models, 8u);
}

// Prefill by halves: every product of a layer is off by up to 2e-3.
TEST_F(GpuVectors, LogitsOfHalves) {
  if (!device()->features().shader_f16) GTEST_SKIP() << "the device has no f16";
  u32 models = 0;
  for (const json& entry : index()["models"]) {
    const std::string name = entry["name"];
    if (name != "mini-llama-F16" && name != "mini-llama-Q8_0") continue;
    SCOPED_TRACE(name);
    const auto file = read_file(folder() + std::string(entry["file"]));
    ASSERT_TRUE(file);
    const json& sequence =
        *std::ranges::max_element(entry["sequences"], {}, [](const json& each) { return each["tokens"].size(); });
    ASSERT_GT(sequence["tokens"].size(), kernels::batch_limit);
    const auto error_by = [&](graph::Activations activations) {
      LoadOptions options{.context = 80, .kv = KvType::f32, .activations = activations, .scoring = true};
      options.tuning = choice({*file}, options, "64x128+f16", kernels::TunedKernel::gemm);
      const auto loaded = engine({*file}, options, device());
      return loaded ? relative_error(logits(*loaded, sequence["tokens"], false), exact(sequence)) : 1;
    };
    const double error = error_by(graph::Activations::q8);
    EXPECT_LE(error, 5e-3);
    EXPECT_GT(error, 1e-4);  // these kernels, and not others
    if (models++ == 0) EXPECT_LE(error_by(graph::Activations::f32), 1e-4);
  }
  EXPECT_EQ(models, 2u);
}

TEST_F(GpuVectors, LogitsWithF16Cache) { check_logits(KvType::f16, 1e-3); }
TEST_F(GpuVectors, GreedyStory) { check_story({}, KvType::f16); }
TEST_F(GpuVectors, GreedyStoryWithDefaultLimitsAndNoFeatures) {
  check_story({.default_limits = true, .no_features = true}, KvType::f32);
}

}  // namespace
}  // namespace pronk::test
