// pronk convert: what it writes gives the ids and logits of its source.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "commands.h"
#include "files/gguf.h"
#include "logits.h"
#include "source.h"
#include "sources/tokenizer_files.h"
#include "support/archs.h"
#include "support/folder_model.h"
#include "text/gguf_keys.h"
#include "text/tokenizer.h"

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

  // What `pronk quantize` makes of a file.
  std::string quantized(const std::string& from, const char* type) {
    const std::string to = folder_ + "quantized.gguf";
    const char* const arguments[] = {from.c_str(), to.c_str(), "--type", type};
    const auto args = cli::parse_args(cli::quantize_command, arguments);
    EXPECT_TRUE(args && cli::quantize_command.run(*args));
    return to;
  }

  const std::string& out() {
    if (out_.empty()) out_ = folder_ + "out.gguf";
    return out_;
  }

  std::string folder_, out_;
};

std::vector<float> logits_of(const std::string& path, std::span<const u32> tokens) {
  auto logits = test::logits_of_path(path, "cpu", tokens, false);
  EXPECT_TRUE(logits.has_value()) << logits.error().message;
  return logits ? std::move(*logits) : std::vector<float>();
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
    EXPECT_LE(test::largest_difference(logits_of(out(), tokens), expected), 1e-6);
    EXPECT_EQ(convert(folder_, "Q8_0"), "");
    const auto q8 = logits_of(out(), tokens);
    EXPECT_GT(test::largest_difference(q8, expected), 1e-6);
    EXPECT_EQ(convert(folder_), "");
    EXPECT_EQ(q8, logits_of(quantized(out(), "Q8_0"), tokens));
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

std::vector<std::string> shared_texts() {
  const auto bytes = test::read_file(test::shared_path("vectors/sources/tokenizer/texts.json"));
  std::vector<std::string> texts;
  for (const json& entry : json::parse(*bytes)["texts"]) {
    texts.push_back(entry["text"]);
  }
  return texts;
}

// The tokenizer as the keys that convert writes.
Result<text::Tokenizer> by_keys(const text::TokenizerFiles& files, bool& has_json) {
  files::GgufWriter writer;
  PRONK_OK(text::write_gguf_keys(files, writer));
  const std::vector<u8> bytes = writer.header();
  PRONK_TRY(const files::GgufPrefix parsed, files::parse_gguf(bytes, bytes.size()));
  has_json = parsed.gguf->metadata.has("pronk.tokenizer.json");
  return text::Tokenizer::from_metadata(parsed.gguf->metadata);
}

TEST(GgufKeys, GiveTheIdsAndTextsOfEveryTokenizer) {
  const std::string folder = test::shared_path("vectors/sources/tokenizer/");
  const auto index = test::read_file(folder + "index.json");
  if (!index) GTEST_SKIP() << "no " << folder << "index.json on this machine";
  u32 with_json = 0, tokenizers = 0;
  std::string names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().string());
    text::TokenizerFiles files;
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
      if (const auto text = test::read_file(entry.path().string() + "/" + name))
        *sources::tokenizer_file(files, name) = {text->begin(), text->end()};
    }
    const auto wanted = text::Tokenizer::from_json(files);
    bool has_json = false;
    const auto got = by_keys(files, has_json);
    ASSERT_TRUE(wanted.has_value() && got.has_value()) << got.error().message;
    ++tokenizers, with_json += has_json;
    if (has_json) names += entry.path().filename().string() + ' ';
    ASSERT_EQ(got->vocab_size(), wanted->vocab_size());
    EXPECT_TRUE(std::ranges::equal(got->end_tokens(), wanted->end_tokens()));
    EXPECT_EQ(got->bos(), wanted->bos());
    EXPECT_EQ(got->eos(), wanted->eos());
    EXPECT_EQ(got->chat_template(), wanted->chat_template());
    for (const std::string& text : shared_texts()) {
      for (const bool special : {false, true})
        EXPECT_EQ(*got->encode(text, {special}), *wanted->encode(text, {special})) << text;
      const std::vector<u32> ids = *wanted->encode(text, {false, text::Tokenizer::Bos::off});
      EXPECT_EQ(got->decode(ids), wanted->decode(ids)) << text;
    }
  }
  EXPECT_EQ(tokenizers, 30u);
  EXPECT_LE(with_json, 20u) << names;
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
    EXPECT_LE(test::largest_difference(logits_of(out(), tokens), logits_of(from, tokens)), 1e-6);
    const auto a = cli::read_tokenizer(out(), {}), b = cli::read_tokenizer(from, {});
    ASSERT_TRUE(a.has_value() && b.has_value());
    for (const std::string& each : shared_texts()) EXPECT_EQ(*a->encode(each), *b->encode(each)) << each;
    EXPECT_EQ(a->chat_template(), b->chat_template());
    const bool floats = std::string_view(GetParam()) == "safetensors";
    const auto expected = floats ? logits_of(quantized(out(), "Q8_0"), tokens) : logits_of(from, tokens);
    ASSERT_EQ(convert(from, "Q8_0"), "");
    // Weights that were quantized before are rounded a second time: as far as 8-bit activations may be off there.
    EXPECT_LE(test::largest_difference(logits_of(out(), tokens), expected), floats ? 0 : 0.3);
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, ConvertSources, testing::Values("safetensors", "aqlm", "aqlm-rs", "mlc"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace pronk
