// The tokenizers, single steps and damaged files of ../shared/vectors/sources, where that folder is there.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "fixtures.h"
#include "support/files.h"
#include "text/pipeline_json.h"

namespace pronk::text {
namespace {

using nlohmann::json;

const std::string folder = test::shared_path("vectors/sources/");

std::string read_text(const std::string& path) {
  const auto bytes = test::read_file(path);
  return bytes ? std::string(bytes->begin(), bytes->end()) : std::string();
}

std::string from_hex(const std::string& hex) {
  std::string out;
  for (u64 i = 0; i < hex.size(); i += 2) out += char(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

Result<Tokenizer> load(const std::string& path) {
  return Tokenizer::from_json(
      {.tokenizer = read_text(path + "/tokenizer.json"), .config = read_text(path + "/tokenizer_config.json")});
}

std::string stream(const Tokenizer& tokenizer, const Ids& ids, bool render_special) {
  StreamDecoder decoder(tokenizer, render_special, true);
  std::string out;
  for (const u32 id : ids) out += decoder.push(id);
  return out + decoder.finish();
}

class TokenizerJsonVectors : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "../shared/vectors/sources is not there";
  }
};

void expect_texts(const Tokenizer& tokenizer, const json& texts, const json& cases) {
  ASSERT_EQ(texts.size(), cases.size());
  for (const json& wanted : cases) {
    const auto is_named = [&](const json& text) { return text["name"] == wanted["name"]; };
    const json& entry = *std::find_if(texts.begin(), texts.end(), is_named);
    const std::string text = from_hex(entry["utf8_hex"]);
    SCOPED_TRACE(wanted["name"].get<std::string>());
    const Ids ids = wanted["ids"];
    EXPECT_EQ(encode(tokenizer, text, {true, Tokenizer::Bos::off}), ids);
    EXPECT_EQ(encode(tokenizer, text, {true, Tokenizer::Bos::automatic}), wanted.value("ids_add_special", ids));
    const std::string decoded = wanted["decodes_to"] == "the text" ? text : wanted["decodes_to"].get<std::string>();
    EXPECT_EQ(stream(tokenizer, ids, true), decoded);
    EXPECT_EQ(stream(tokenizer, ids, false), wanted.value("decode_skip_special", decoded));
  }
}

TEST_F(TokenizerJsonVectors, texts) {
  const json texts = json::parse(read_text(folder + "tokenizer/texts.json"));
  const json index = json::parse(read_text(folder + "tokenizer/index.json"));
  for (const json& each : index["tokenizers"]) {
    const std::string path = folder + "tokenizer/" + each["name"].get<std::string>();
    SCOPED_TRACE(path);
    const auto tokenizer = load(path);
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    const json expected = json::parse(read_text(path + "/expected.json"));
    EXPECT_EQ(tokenizer->vocab_size(), expected["vocab_size_with_added"].get<u32>());
    expect_texts(*tokenizer, texts["texts"].is_null() ? texts : texts["texts"], expected["cases"]);
  }
}

std::vector<std::string> strings(const Pieces& pieces) {
  std::vector<std::string> out;
  for (const auto& [start, end] : pieces.ranges) out.push_back(pieces.text.substr(start, end - start));
  return out;
}

// What the steps make of a text; the error where they are not supported.
Result<Pieces> run_steps(const json& entry, Status (*read)(files::JsonValue, std::vector<Step>&)) {
  PRONK_TRY(const files::Json step, files::Json::parse(entry["step"].dump()));
  std::vector<Step> steps;
  PRONK_OK(read(step.root(), steps));
  const std::string text = entry["in"];
  Pieces pieces{text, {}, true};
  if (!text.empty()) pieces.ranges.push_back({0, u32(text.size())});
  for (const Step& each : steps) PRONK_OK(apply(each, most_normalized_bytes(text.size()), pieces));
  return pieces;
}

std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

void expect_step(const json& entry) {
  if (entry["kind"] == "normalizer") {
    const auto pieces = run_steps(entry, read_normalizer);
    ASSERT_TRUE(pieces.has_value()) << pieces.error().message;
    EXPECT_EQ(pieces->text, entry["out"].get<std::string>());
  } else if (entry["kind"] == "pre_tokenizer") {
    const auto pieces = run_steps(entry, read_pre_tokenizer);
    ASSERT_TRUE(pieces.has_value()) << pieces.error().message;
    EXPECT_EQ(strings(*pieces), entry["pieces"].get<std::vector<std::string>>());
  }
}

// A tokenizer of whole words, under other keys of the file too.
Result<Tokenizer> word_level(const std::vector<std::string>& words, const json& others) {
  json file = others;
  file["model"] = {{"type", "WordLevel"}, {"vocab", json::object()}, {"unk_token", "[UNK]"}};
  json& vocab = file["model"]["vocab"];
  vocab["[UNK]"] = 0;
  for (const std::string& word : words) {
    if (!vocab.contains(word)) vocab[word] = vocab.size();
  }
  return Tokenizer::from_json({.tokenizer = file.dump()});
}

void expect_decoded(const json& entry) {
  const std::vector<std::string> words = entry["in"];
  const auto tokenizer = word_level(words, {{"decoder", entry["step"]}});
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  Ids ids;
  for (const std::string& word : words) ids.push_back(*tokenizer->find(word));
  EXPECT_EQ(stream(*tokenizer, ids, true), entry["out"].get<std::string>());
  EXPECT_EQ(tokenizer->decode(ids, true), entry["out"].get<std::string>());
}

void expect_added(const json& entry) {
  json others = {{"normalizer", {{"type", "Lowercase"}}}, {"pre_tokenizer", {{"type", "Whitespace"}}}};
  const std::vector<std::string> added = entry["tokens"];
  for (u32 i = 0; i < added.size(); ++i) {
    json token = entry["flags"];
    token["id"] = 100 + i;
    token["content"] = added[i];
    if (!token.contains("normalized")) token["normalized"] = false;
    if (added[i] == "<m>") token["single_word"] = false;  // so the vectors were made, or "a<m>" had no <m>
    others["added_tokens"].push_back(token);
  }
  const auto tokenizer = word_level({"a", "b", "tok", "TOK", "x", "xtok", "tokx", "<", ">", "!"}, others);
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  Ids wanted;
  for (const std::string& piece : entry["pieces"].get<std::vector<std::string>>()) {
    const u64 start = piece.find_first_not_of(" \n\t"), end = piece.find_last_not_of(" \n\t");
    std::string spelling = piece.substr(start, end + 1 - start);
    const bool is_added = entry["flags"].contains("normalized") && spelling == "tok";
    if (is_added) spelling = "Tok";
    wanted.push_back(*tokenizer->find(spelling));
  }
  EXPECT_EQ(encode(*tokenizer, entry["in"].get<std::string>(), {true, Tokenizer::Bos::off}), wanted);
}

// What is not supported: a table of scripts is not worth its bytes, the others are not of language models.
bool is_refused(const json& step) {
  return step["type"] == "UnicodeScripts" || step["type"] == "BPEDecoder" || step.value("content", "") == "_";
}

TEST_F(TokenizerJsonVectors, steps) {
  const json file = json::parse(read_text(folder + "tokenizer/steps.json"));
  u32 refused = 0;
  for (const json& entry : file["steps"]) {
    SCOPED_TRACE(dumped(entry).substr(0, 400));
    if (entry["kind"] == "added_token") {
      expect_added(entry);
    } else if (is_refused(entry["step"])) {
      ++refused;
      const std::string key = entry["kind"];
      const auto tokenizer = word_level({"a"}, {{key, entry["step"]}});
      ASSERT_FALSE(tokenizer.has_value());
      EXPECT_NE(tokenizer.error().message.find(entry["step"]["type"].get<std::string>()), std::string::npos);
    } else if (entry["kind"] == "decoder") {
      expect_decoded(entry);
    } else {
      expect_step(entry);
    }
  }
  EXPECT_EQ(refused, 37u);
}

TEST_F(TokenizerJsonVectors, damaged_files) {
  const json index = json::parse(read_text(folder + "bad/index.json"));
  u32 count = 0;
  for (const json& each : index["files"]) {
    const std::string file = each["file"], verdict = each["verdict"];
    if (!file.starts_with("tokenizer/")) continue;
    SCOPED_TRACE(file);
    ++count;
    const auto tokenizer = Tokenizer::from_json({.tokenizer = read_text(folder + "bad/" + file)});
    if (verdict != "either") {
      EXPECT_EQ(tokenizer.has_value(), verdict == "accept");
    }
    if (tokenizer) {
      EXPECT_TRUE(tokenizer->encode("abcab").has_value());
    } else {
      EXPECT_FALSE(tokenizer.error().message.empty());
    }
  }
  EXPECT_EQ(count, 28u);
}

}  // namespace
}  // namespace pronk::text
