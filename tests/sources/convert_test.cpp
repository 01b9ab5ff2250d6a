// pronk convert: what it writes gives the ids and logits of its source.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "commands.h"
#include "engine.h"
#include "source.h"
#include "support/archs.h"
#include "support/folder_model.h"

namespace pronk {
namespace {

using nlohmann::json;
using test::ModelSpec;

// A folder of its own for each test, removed at its end.
class Convert : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "pronk-convert-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name + "/";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ + name, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  }

  // The error, or nothing.
  std::string convert(const std::string& from, const std::string& type = "") {
    std::vector<const char*> arguments{from.c_str(), out().c_str()};
    if (!type.empty()) arguments.insert(arguments.end(), {"--type", type.c_str()});
    const auto args = cli::parse_args(cli::convert_command, arguments);
    if (!args) return args.error().message;
    const auto outcome = cli::convert_command.run(*args);
    EXPECT_FALSE(std::filesystem::exists(out() + ".part"));
    return outcome ? "" : outcome.error().message;
  }

  const std::string& out() {
    if (out_.empty()) out_ = folder_ + "out.gguf";
    return out_;
  }

  std::string folder_, out_;
};

Result<std::vector<float>> logits_of(const std::string& path, std::span<const u32> tokens) {
  cli::EngineChoice choice{.location = path, .backend = "cpu"};
  choice.options = {.context = u32(tokens.size()),
                    .kv = graph::KvType::f32,
                    .activations = graph::Activations::f32,
                    .threads = 1,
                    .scoring = true};
  PRONK_TRY(const auto engine, cli::open_engine(choice));
  return test::score(*engine, tokens, false);
}

double largest_difference(const Result<std::vector<float>>& a, const Result<std::vector<float>>& b) {
  EXPECT_TRUE(a.has_value()) << a.error().message;
  EXPECT_TRUE(b.has_value()) << b.error().message;
  if (!a || !b || a->size() != b->size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a->size(); ++i) largest = std::max(largest, std::abs(double((*a)[i]) - (*b)[i]));
  return largest;
}

TEST_F(Convert, KeepsLogitsOfAFolder) {
  for (const char* arch : {"llama", "gemma3"}) {  // whose norms are not as GGUF has them
    SCOPED_TRACE(arch);
    ModelSpec spec{.arch = arch};
    if (spec.arch == "gemma3") spec.layers = 7, spec.window = 6;
    const test::Folder folder = test::folder_of(spec);
    for (const auto& [name, text] : folder.texts) write(name, text);
    const auto& weights = folder.weights[0];
    write("model.safetensors", {reinterpret_cast<const char*>(weights.data()), weights.size()});
    EXPECT_EQ(convert(folder_), "");
    const std::vector<u32> tokens = test::some_tokens(20, 5, spec.vocab);
    const auto expected = logits_of(folder_, tokens);
    EXPECT_LE(largest_difference(logits_of(out(), tokens), expected), 1e-6);
    EXPECT_EQ(convert(folder_, "Q8_0"), "");
    const double q8 = largest_difference(logits_of(out(), tokens), expected);
    EXPECT_GT(q8, 1e-6);
    EXPECT_LT(q8, 0.3);
  }
}

TEST_F(Convert, LeavesNothingWhenItFails) {
  EXPECT_NE(convert(folder_), "");
  EXPECT_TRUE(convert(folder_, "Q9").starts_with("pronk convert: --type is 'Q9', not one of F16|"));
  const test::Folder folder = test::folder_of({.layers = 1, .zeros = true});
  write("config.json", folder.texts.at("config.json"));
  const auto& weights = folder.weights[0];
  write("model.safetensors", {reinterpret_cast<const char*>(weights.data()), weights.size()});
  write("tokenizer.json", R"({"model": {"type": "WordLevel", "vocab": {}}})");
  EXPECT_NE(convert(folder_), "");
  EXPECT_FALSE(std::filesystem::exists(out()));
}

// ---- ../shared/vectors/sources, which not every machine has

// normalized: only those that are in Unicode's normal form NFC, for which GGUF has no key.
std::vector<std::string> shared_texts(bool normalized) {
  const std::set<std::string> others{"korean-decomposed", "combining", "compat", "unicode-spaces", "run-combining"};
  const auto bytes = test::read_file(test::shared_path("vectors/sources/tokenizer/texts.json"));
  std::vector<std::string> texts;
  for (const json& entry : json::parse(*bytes)["texts"]) {
    if (!normalized || !others.contains(entry["name"])) texts.push_back(entry["text"]);
  }
  return texts;
}

class ConvertSources : public Convert, public testing::WithParamInterface<const char*> {};

TEST_P(ConvertSources, KeepsIdsAndLogits) {
  const std::string folder = test::shared_path("vectors/sources/") + GetParam() + "/";
  const auto text = test::read_file(folder + "index.json");
  if (!text) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  for (const json& entry : json::parse(*text)["models"]) {
    const std::string from = folder + std::string(entry["dir"]);
    SCOPED_TRACE(from);
    ASSERT_EQ(convert(from), "");
    const std::vector<u32> tokens = entry["sequences"][0]["tokens"];
    EXPECT_LE(largest_difference(logits_of(out(), tokens), logits_of(from, tokens)), 1e-6);
    const auto a = cli::read_tokenizer(out(), {}), b = cli::read_tokenizer(from, {});
    ASSERT_TRUE(a.has_value() && b.has_value());
    const auto file = test::read_file(from + "/tokenizer.json");
    const bool normalizes = std::string(file->begin(), file->end()).find("\"NFC\"") != std::string::npos;
    for (const std::string& each : shared_texts(normalizes)) EXPECT_EQ(*a->encode(each), *b->encode(each)) << each;
    EXPECT_EQ(a->chat_template(), b->chat_template());
    ASSERT_EQ(convert(from, "Q8_0"), "");
    EXPECT_LT(largest_difference(logits_of(out(), tokens), logits_of(from, tokens)), 0.3);
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, ConvertSources, testing::Values("safetensors", "aqlm", "mlc"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pronk
