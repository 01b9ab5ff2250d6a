// Folders of models as Hugging Face's libraries write them, from their files to logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "logits.h"
#include "support/archs.h"
#include "support/bad_sources.h"
#include "support/folder_model.h"
#include "support/limited_device.h"
#include "synth_model.h"

namespace pronk {
namespace {

using nlohmann::json;
using test::ModelSpec;

Result<std::vector<float>> logits_of(Result<test::SharedModel> model, const test::ModelFiles& weights,
                                     std::span<const u32> tokens, std::unique_ptr<gpu::Device> device, u32 context = 64,
                                     bool by_steps = false, graph::Activations activations = graph::Activations::f32) {
  if (!model) return std::unexpected(model.error());
  LoadOptions options{
      .context = context, .kv = graph::KvType::f32, .activations = activations, .threads = 1, .scoring = true};
  PRONK_TRY(auto engine, Engine::create(*model, options, std::move(device)));
  PRONK_OK(test::feed(*engine, weights));
  PRONK_OK(test::wait_ready(*engine));
  return test::score(*engine, tokens, by_steps);
}

class Folders : public testing::TestWithParam<ModelSpec> {};

// What Llama's GGUF files have in another order and Gemma's with 1 added makes no difference.
TEST_P(Folders, GiveTheLogitsOfTheSameModelInAGgufFile) {
  ModelSpec spec = GetParam();
  const std::vector<u32> tokens = test::some_tokens(20, 5, spec.vocab);
  for (const bool tied : {true, false}) {
    spec.tied = tied;
    const test::ModelFiles gguf = test::model_files(spec);
    const auto expected = logits_of(test::open_model(gguf), gguf, tokens, nullptr);
    ASSERT_TRUE(expected.has_value()) << expected.error().message;
    for (const u32 shards : {1u, 3u}) {
      const test::Folder folder = test::folder_of(spec, shards);
      const auto got = logits_of(test::open_folder(folder), folder.weights, tokens, nullptr);
      ASSERT_TRUE(got.has_value()) << got.error().message;
      EXPECT_LT(test::largest_difference(*got, *expected), 2e-5);
    }
  }
}

TEST_P(Folders, GiveTheSameLogitsOnTheGpu) {
  auto device = gpu::create_native_device();
  if (!device) GTEST_SKIP() << device.error().message;
  const std::vector<u32> tokens = test::some_tokens(20, 5, GetParam().vocab);
  const test::Folder folder = test::folder_of(GetParam(), 2);
  const auto expected = logits_of(test::open_folder(folder), folder.weights, tokens, nullptr);
  const auto got = logits_of(test::open_folder(folder), folder.weights, tokens, std::move(*device));
  ASSERT_TRUE(expected.has_value() && got.has_value());
  EXPECT_LT(test::largest_difference(*got, *expected), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Sources, Folders,
                         testing::Values(ModelSpec{.bias = true}, ModelSpec{.arch = "qwen2"},
                                         ModelSpec{.arch = "qwen3"},
                                         ModelSpec{.arch = "gemma3", .layers = 7, .window = 6}),
                         [](const auto& info) { return info.param.arch; });

// ---- Tokenizers

constexpr const char* small_tokenizer = R"({"added_tokens": [{"id": 3, "content": "<e>", "special": true}],
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}})";

TEST(FolderTokenizer, IsThatOfItsFiles) {
  test::Folder folder = test::folder_of({.layers = 1, .zeros = true});
  const auto without = test::open_folder(folder);
  ASSERT_TRUE(without.has_value()) << without.error().message;
  EXPECT_EQ((*without)->tokenizer().encode("ab").error().message, "the model has no tokenizer");
  folder.texts["tokenizer.json"] = small_tokenizer;
  folder.texts["tokenizer_config.json"] = R"({"eos_token": "<e>", "chat_template": "{{ x }}"})";
  const auto model = test::open_folder(folder);
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const auto ids = (*model)->tokenizer().encode("abba");
  ASSERT_TRUE(ids.has_value()) << ids.error().message;
  EXPECT_EQ(*ids, (std::vector<u32>{2, 1, 0}));
  EXPECT_EQ((*model)->tokenizer().chat_template(), "{{ x }}");
  EXPECT_TRUE((*model)->tokenizer().is_end(3));
}

TEST(FolderTokenizer, IsRefusedWithTheNameOfItsFile) {
  test::Folder folder = test::folder_of({.layers = 1, .zeros = true});
  folder.texts["tokenizer.json"] = "{";
  EXPECT_TRUE(test::open_folder(folder).error().message.starts_with("tokenizer.json: "));
  folder.texts["tokenizer.json"] = R"({"model": {"type": "BPE", "vocab": {"a": 300}, "merges": []}})";
  EXPECT_EQ(test::open_folder(folder).error().message,
            "the vocabulary has 301 tokens, more than the 300 rows of 'token_embd.weight'");
}

// ---- AQLM

// The same weights twice: as floats, and as codes, code books and scales, each in a shard of its own.
struct AdditiveFolders {
  test::Folder plain, coded;
};

test::FolderTensor floats(std::string name, std::vector<u64> shape, const std::vector<float>& values) {
  test::FolderTensor tensor{std::move(name), "F32", std::move(shape), std::vector<u8>(values.size() * sizeof(float))};
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

AdditiveFolders additive_folders(const ModelSpec& spec) {
  constexpr u64 books = 2, entries = 256, group = 8;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<test::FolderTensor> plain = test::folder_tensors(spec), coded;
  for (test::FolderTensor& tensor : plain) {
    if (tensor.name.find("_proj.weight") == std::string::npos) {
      coded.push_back(tensor);
      continue;
    }
    const u64 rows = tensor.shape[0], groups = tensor.shape[1] / group;
    std::vector<float> book(books * entries * group), scales(rows), weights(rows * groups * group);
    std::vector<u8> codes(rows * groups * books);
    for (float& number : book)  // f16, as the GPU has them
      number = f16_to_f32(f32_to_f16(normal(random) / std::sqrt(2.0f * float(tensor.shape[1]))));
    for (float& number : scales) number = 1 + normal(random) / 4;
    for (u8& code : codes) code = u8(random());
    for (u64 i = 0; i < weights.size(); ++i) {
      const u8* at = codes.data() + i / group * books;
      weights[i] =
          scales[i / group / groups] * (book[at[0] * group + i % group] + book[(entries + at[1]) * group + i % group]);
    }
    tensor = floats(tensor.name, tensor.shape, weights);
    const std::string stem = tensor.name.substr(0, tensor.name.size() - 6);
    coded.push_back({stem + "codes", "I8", {rows, groups, books}, codes});
    coded.push_back(floats(stem + "codebooks", {books, entries, 1, group}, book));
    coded.push_back(floats(stem + "scales", {rows, 1, 1, 1}, scales));
  }
  AdditiveFolders folders;
  json config = test::folder_config(spec);
  folders.plain.texts["config.json"] = config.dump();
  config["quantization_config"] = {{"quant_method", "aqlm"},
                                   {"in_group_size", group},
                                   {"out_group_size", 1},
                                   {"num_codebooks", books},
                                   {"nbits_per_codebook", 8}};
  folders.coded.texts["config.json"] = config.dump();
  test::add_shards(folders.plain, plain, 1);
  test::add_shards(folders.coded, coded, 3);
  return folders;
}

// By prefill, and by decode steps, which multiply one row of activations.
TEST(AdditiveFolder, GivesTheLogitsOfItsWeights) {
  const ModelSpec spec;
  const AdditiveFolders folders = additive_folders(spec);
  const std::vector<u32> tokens = test::some_tokens(20, 5, spec.vocab);
  const auto expected = logits_of(test::open_folder(folders.plain), folders.plain.weights, tokens, nullptr);
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  for (const bool by_steps : {false, true}) {
    const auto got = logits_of(test::open_folder(folders.coded), folders.coded.weights, tokens, nullptr, 64, by_steps);
    ASSERT_TRUE(got.has_value()) << got.error().message;
    EXPECT_LT(test::largest_difference(*got, *expected), 2e-5);
  }
}

// What 8-bit activations change of a model's logits, as a share of them (root mean squares).
double change_by_quants(const Result<test::SharedModel>& model, const test::ModelFiles& weights, bool by_steps) {
  const std::vector<u32> tokens = test::some_tokens(20, 5, ModelSpec{}.vocab);
  const auto exact = logits_of(model, weights, tokens, nullptr);
  const auto got = logits_of(model, weights, tokens, nullptr, 64, by_steps, graph::Activations::q8);
  if (!exact || !got) return ADD_FAILURE() << "no logits", 0;
  double changes = 0, size = 0;
  for (std::size_t i = 0; i < exact->size(); ++i) {
    changes += std::pow((*got)[i] - (*exact)[i], 2);
    size += std::pow((*exact)[i], 2);
  }
  return std::sqrt(changes / size);
}

// With them books are 16-bit integers, which costs little beside what the activations do to a format of integers.
TEST(AdditiveFolder, LosesNoMoreByQuantizedActivationsThanAnotherFormat) {
  const test::ModelFiles q8 = test::model_files({.matrix = "Q8_0"});
  for (const u32 feed_forward : {96u, 104u}) {  // 104 is no whole blocks of quants
    const AdditiveFolders folders = additive_folders({.feed_forward = feed_forward});
    for (const bool by_steps : {false, true}) {
      const double other = change_by_quants(test::open_model(q8), q8, by_steps);
      const double additive = change_by_quants(test::open_folder(folders.coded), folders.coded.weights, by_steps);
      EXPECT_GT(additive, 0) << "activations were floats";
      EXPECT_LT(additive, 1.3 * other);
    }
  }
}

// What a header of `pronk synth` says is a model.
TEST(AdditiveModel, IsMadeUp) {
  for (const char* name : {"AQLM_2x8", "AQLM_1x16"}) {
    const cli::SynthModel made(cli::synth_presets()[0], *formats::find("F16"), cli::find_synth_books(name));
    ASSERT_EQ(made.misfit(), nullptr);
    const auto model = test::open_header(made.writer().header());
    ASSERT_TRUE(model.has_value()) << name << ": " << model.error().message;
  }
}

TEST(AdditiveFolder, HasAnEngineThatTakesWhatWasPlanned) {
  const AdditiveFolders folders = additive_folders({});
  const auto model = test::open_folder(folders.coded);
  ASSERT_TRUE(model.has_value()) << model.error().message;
  auto engine = Engine::create(*model, {.context = 32}, nullptr);
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  ASSERT_TRUE(test::feed(**engine, folders.coded.weights).has_value());
  ASSERT_TRUE(test::wait_ready(**engine).has_value());
  EXPECT_EQ((*engine)->allocated(), (*engine)->planned());
}

// On a device with small bindings matrices are cut: each part has books and scales of its own.
TEST(AdditiveFolder, GivesTheSameLogitsOnTheGpu) {
  const ModelSpec spec{.feed_forward = 160};
  const AdditiveFolders folders = additive_folders(spec);
  const std::vector<u32> tokens = test::some_tokens(20, 5, spec.vocab);
  const auto expected = logits_of(test::open_folder(folders.coded), folders.coded.weights, tokens, nullptr);
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  for (const u64 binding : {128 << 20, 18 << 10}) {
    SCOPED_TRACE(binding);
    auto device = gpu::create_native_device();
    if (!device) GTEST_SKIP() << device.error().message;
    gpu::Limits limits = (*device)->limits();
    limits.max_storage_buffer_binding_size = std::min(limits.max_storage_buffer_binding_size, binding);
    auto limited = std::make_unique<test::LimitedDevice>(std::move(*device), limits);
    const auto got = logits_of(test::open_folder(folders.coded), folders.coded.weights, tokens, std::move(limited), 20);
    ASSERT_TRUE(got.has_value()) << got.error().message;
    EXPECT_LT(test::largest_difference(*got, *expected), 1e-4);
  }
}

// ---- ../shared/vectors/sources, which not every machine has

struct Deviation {
  double largest = 0, kl = 0;  // of logits; mean of all rows
};

Deviation deviation(std::span<const float> got, std::span<const float> exact, u64 vocab) {
  Deviation result{.largest = test::largest_difference(got, exact)};
  const auto log_sum = [&](std::span<const float> row) {
    double sum = 0;
    const double most = *std::ranges::max_element(row);
    for (const float logit : row) sum += std::exp(logit - most);
    return most + std::log(sum);
  };
  for (u64 at = 0; at < exact.size(); at += vocab) {
    const auto a = got.subspan(at, vocab), b = exact.subspan(at, vocab);
    const double sum_a = log_sum(a), sum_b = log_sum(b);
    for (u64 i = 0; i < vocab; ++i) result.kl += std::exp(b[i] - sum_b) * ((b[i] - sum_b) - (a[i] - sum_a));
  }
  result.kl /= double(exact.size() / vocab);
  return result;
}

struct Models {
  const char* kind;
  u32 count;
  const char* backend;
};

class SourceModels : public testing::TestWithParam<Models> {};

TEST_P(SourceModels, GiveExactLogits) {
  const auto [kind, models, backend] = GetParam();
  if (std::string_view(backend) != "cpu") {
    if (const auto device = gpu::create_native_device(); !device) GTEST_SKIP() << device.error().message;
  }
  const std::string folder = test::shared_path("vectors/sources/") + kind + "/";
  const auto text = test::read_file(folder + "index.json");
  if (!text) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  const json index = json::parse(*text);
  EXPECT_EQ(index["models"].size(), models);
  for (const json& entry : index["models"]) {
    for (const json& sequence : entry["sequences"]) {
      SCOPED_TRACE(std::string(entry["name"]) + "." + std::string(sequence["tag"]));
      const std::vector<u32> tokens = sequence["tokens"];
      for (const bool by_steps : {false, true}) {
        if (by_steps && std::string_view(backend) != "cpu") continue;  // takes minutes on a CPU driver
        const auto got = test::logits_of_path(folder + std::string(entry["dir"]), backend, tokens, by_steps);
        ASSERT_TRUE(got.has_value()) << got.error().message;
        const auto exact = test::archs::read_floats(folder + std::string(sequence["exact_file"]));
        const Deviation d = deviation(*got, exact, sequence["vocab"]);
        EXPECT_LT(d.largest, 1e-3);
        EXPECT_LT(d.kl, 1e-8);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, SourceModels,
                         testing::Values(Models{"safetensors", 11, "cpu"}, Models{"aqlm", 8, "cpu"},
                                         Models{"aqlm", 8, "webgpu"}, Models{"mlc", 8, "cpu"},
                                         Models{"mlc", 8, "webgpu"}),
                         [](const auto& info) { return std::string(info.param.kind) + "_" + info.param.backend; });

class BadFolders : public testing::TestWithParam<std::pair<const char*, u32>> {};

TEST_P(BadFolders, AreTakenAndRefusedAsTheyShould) {
  const auto sources = test::bad_sources(GetParam().first + std::string("/"));
  if (sources.empty()) GTEST_SKIP() << "../shared/vectors/sources/bad is not on this machine";
  for (const auto& source : sources) {
    const auto open = cli::open_headers(source.path, {});
    test::expect_verdict(source, open ? "" : open.error().message);
    if (!open) EXPECT_NE(open.error().message.find(source.path), std::string::npos) << open.error().message;
  }
  EXPECT_EQ(sources.size(), GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(Sources, BadFolders, testing::Values(std::pair("folders", 37), std::pair("aqlm", 19)),
                         [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace pronk
