// Folders of small models against what Hugging Face's transformers makes of them: tests/golden/folders, written by
// tools/folder_models.py. A model here is a config.json and the names of its tensors; their numbers are hashes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "logits.h"
#include "support/files.h"
#include "support/folder_model.h"

namespace pronk {
namespace {

using nlohmann::json;

constexpr const char* models = PRONK_SOURCE_DIR "/tests/golden/folders/";

// Uniform, of variance 1 / columns; vectors are small, or near 1 where they scale. As tools/folder_models.py has it.
std::vector<float> weights(const std::string& name, const std::vector<u64>& shape) {
  u32 hash = 2166136261u;
  for (const char c : name) hash = (hash ^ u8(c)) * 16777619u;
  u64 count = 1;
  for (const u64 each : shape) count *= each;
  const bool vector = shape.size() < 2, scales = name.contains("norm") || name.contains("Norm") || name.contains("ln_");
  const double most = vector ? 0.25 : std::sqrt(3.0 / double(shape.back()));
  std::vector<float> values(count);
  for (u64 i = 0; i < count; ++i) {
    u32 x = hash + u32(i) * 0x9E3779B9u;
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    x ^= x >> 16;
    values[i] = float((double(x >> 8) / (1 << 23) - 1) * most + (vector && scales ? 1 : 0));
  }
  return values;
}

// A folder on disk while it lives.
class FolderOf {
 public:
  explicit FolderOf(const json& model) {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    std::vector<test::FolderTensor> tensors;
    for (const auto& [name, shape] : model["tensors"].items()) {
      const std::vector<float> values = weights(name, shape);
      std::vector<u8> bytes(values.size() * sizeof(float));
      std::memcpy(bytes.data(), values.data(), bytes.size());
      tensors.push_back({name, "F32", shape, std::move(bytes)});
    }
    const std::vector<u8> file = test::safetensors_file(tensors);
    std::ofstream(path_ + "/config.json") << model["config"].dump();
    std::ofstream(path_ + "/model.safetensors", std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), std::streamsize(file.size()));
  }
  ~FolderOf() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "pronk-folder-XXXXXX").string();
};

Result<std::vector<float>> rows_of(const std::string& path, const std::vector<u32>& tokens, bool encoder,
                                   bool by_steps) {
  cli::EngineChoice choice{.location = path, .backend = "cpu", .any_model = true};
  choice.options = {.context = u32(tokens.size()),
                    .kv = graph::KvType::f32,
                    .activations = graph::Activations::f32,
                    .threads = 1,
                    .scoring = !encoder,
                    .embedding = encoder};
  PRONK_TRY(const auto engine, cli::open_engine(choice));
  return test::score(*engine, tokens, by_steps);
}

class Transformers : public testing::TestWithParam<std::string> {};

// What the last token gives depends on all others.
TEST_P(Transformers, GiveTheSameForTheLastToken) {
  const json model = json::parse(std::ifstream(models + GetParam() + ".json"));
  const FolderOf folder(model);
  const bool encoder = model["encoder"];
  const std::vector<double> expected = model["expected"];
  for (const bool by_steps : {false, true}) {
    if (encoder && by_steps) continue;
    const auto rows = rows_of(folder.path(), model["tokens"], encoder, by_steps);
    ASSERT_TRUE(rows.has_value()) << rows.error().message;
    ASSERT_GE(rows->size(), expected.size());
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      difference += std::pow((*rows)[rows->size() - expected.size() + i] - expected[i], 2);
      size += std::pow(expected[i], 2);
    }
    EXPECT_LT(std::sqrt(difference / size), 1e-5 + 4 * model["float32_error"].get<double>())
        << (by_steps ? "by steps" : "by prefill");
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(models)) all.push_back(entry.path().stem());
  std::ranges::sort(all);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Sources, Transformers, testing::ValuesIn(names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pronk
