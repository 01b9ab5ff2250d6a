// Folders of small models against what Hugging Face's transformers makes of them: tests/golden/folders, written by
// tools/folder_models.py. A model here is a config.json and the names of its tensors; their numbers are hashes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/pooling.h"
#include "logits.h"
#include "support/files.h"
#include "support/folder_model.h"

namespace pronk {
namespace {

using nlohmann::json;

constexpr const char* models = PRONK_SOURCE_DIR "/tests/golden/folders/";

u32 hash_of(const std::string& name, u64 i) {
  u32 x = 2166136261u;
  for (const char c : name) x = (x ^ u8(c)) * 16777619u;
  x += u32(i) * 0x9E3779B9u;
  x = (x ^ x >> 16) * 0x85EBCA6Bu;
  x = (x ^ x >> 13) * 0xC2B2AE35u;
  return x ^ x >> 16;
}

// Four ternary numbers a byte.
test::FolderTensor packed(const std::string& name, const std::vector<u64>& shape) {
  std::vector<u8> bytes(shape[0] * shape[1]);
  for (u64 i = 0; i < bytes.size(); ++i) {
    for (u32 n = 0; n < 4; ++n) bytes[i] |= u8((hash_of(name, i) >> 8 * n & 255) % 3 << 2 * n);
  }
  return {name, "U8", shape, std::move(bytes)};
}

// Uniform, of variance 1 / columns; vectors are small, or near 1 where they scale. As tools/folder_models.py has it.
std::vector<float> weights(const std::string& name, const std::vector<u64>& shape) {
  u64 count = 1;
  for (const u64 each : shape) count *= each;
  const bool vector = shape.size() < 2, scales = name.contains("norm") || name.contains("Norm") || name.contains("ln_");
  const double most = vector ? 0.25 : std::sqrt(3.0 / double(shape.back()));
  std::vector<float> values(count);
  for (u64 i = 0; i < count; ++i) {
    values[i] = float((double(hash_of(name, i) >> 8) / (1 << 23) - 1) * most + (vector && scales ? 1 : 0));
  }
  return values;
}

// A folder on disk while it lives.
class FolderOf {
 public:
  explicit FolderOf(const json& model) {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    std::vector<test::FolderTensor> tensors;
    const std::vector<std::string> of_codes = model.value("packed", std::vector<std::string>());
    for (const auto& [name, shape] : model["tensors"].items()) {
      const bool codes = std::ranges::find(of_codes, name) != of_codes.end();
      tensors.push_back(codes ? packed(name, shape) : tensor_of(name, name, shape));
      if (!of_codes.empty() && name.ends_with("_scale")) tensors.back() = as_bf16(tensors.back());
    }
    put("config.json", model["config"]);
    put("", tensors);
    if (model.contains("dense")) put_dense(model["dense"]);
  }
  ~FolderOf() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  static test::FolderTensor tensor_of(const std::string& name, const std::string& hashed,
                                      const std::vector<u64>& shape) {
    const std::vector<float> values = weights(hashed, shape);
    std::vector<u8> bytes(values.size() * sizeof(float));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return {name, "F32", shape, std::move(bytes)};
  }
  static test::FolderTensor as_bf16(const test::FolderTensor& one) {
    return {one.name, "BF16", one.shape, {one.data[2], one.data[3]}};
  }
  void put(const std::string& name, const json& contents) { std::ofstream(path_ + "/" + name) << contents.dump(); }
  void put(const std::string& folder, const std::vector<test::FolderTensor>& tensors) {
    const std::vector<u8> file = test::safetensors_file(tensors);
    std::ofstream(path_ + "/" + folder + "model.safetensors", std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), std::streamsize(file.size()));
  }

  // As sentence-transformers has them: mean, maps, norm.
  void put_dense(const std::vector<std::vector<u64>>& shapes) {
    json modules = json::array();
    const auto add = [&](const std::string& type, const std::string& folder) {
      modules.push_back({{"type", "sentence_transformers.models." + type}, {"path", folder}});
      if (!folder.empty()) std::filesystem::create_directory(path_ + "/" + folder);
    };
    add("Transformer", "");
    add("Pooling", "1_Pooling");
    put("1_Pooling/config.json", {{"pooling_mode_mean_tokens", true}});
    for (const std::vector<u64>& shape : shapes) {
      const std::string folder = std::to_string(modules.size()) + "_Dense";
      add("Dense", folder);
      put(folder + "/config.json", {{"in_features", shape[1]},
                                    {"out_features", shape[0]},
                                    {"bias", false},
                                    {"activation_function", "torch.nn.modules.linear.Identity"}});
      put(folder + "/", {tensor_of("linear.weight", folder + "/linear.weight", shape)});
    }
    add("Normalize", "4_Normalize");
    put("modules.json", modules);
  }

  std::string path_ = (std::filesystem::temp_directory_path() / "pronk-folder-XXXXXX").string();
};

// Where the folder says that they are pooled, the embedding.
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
  PRONK_TRY(std::vector<float> rows, test::score(*engine, tokens, by_steps));
  const graph::Pooling pooling = engine->model().pooling();
  return pooling == graph::Pooling::mean ? engine::embedding(rows, engine->row_width(), pooling, true) : rows;
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
