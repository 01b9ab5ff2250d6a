// tokenizer.model of tiktoken's: its ids are those of merging by rank, and what is no such file is an error.
#include "text/rank_keys.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "files/gguf.h"
#include "support/base64.h"
#include "support/files.h"
#include "text/tokenizer.h"

namespace pronk::text {
namespace {

using nlohmann::json;

std::string line(std::string_view token, u32 rank) { return test::base64(token) + " " + std::to_string(rank) + "\n"; }

std::string with_bytes(const std::vector<std::string>& more = {}) {
  std::string lines;
  u32 rank = 0;
  for (u32 byte = 0; byte < 256; ++byte) lines += line(std::string(1, char(byte)), rank++);
  for (const std::string& token : more) lines += line(token, rank++);
  return lines;
}

Result<Tokenizer> tokenizer_of(std::string_view ranks) {
  files::GgufWriter keys;
  PRONK_OK(write_rank_keys(ranks, keys));
  const std::vector<u8> bytes = keys.header();
  PRONK_TRY(const auto parsed, files::parse_gguf(bytes, bytes.size()));
  return Tokenizer::from_metadata(parsed.gguf->metadata);
}

std::string error_of(std::string_view ranks) {
  const auto tokenizer = tokenizer_of(ranks);
  return tokenizer ? "" : tokenizer.error().message;
}

// As tiktoken does it: a whole word that is a token is that; else the pair of the lowest rank, the leftmost first.
std::vector<u32> by_rank(const std::map<std::string, u32>& ranks, const std::string& word) {
  if (const auto whole = ranks.find(word); whole != ranks.end()) return {whole->second};
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(1, c);
  for (;;) {
    std::size_t best = parts.size();
    u32 lowest = ~0u;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto joined = ranks.find(parts[i] + parts[i + 1]);
      if (joined != ranks.end() && joined->second < lowest) lowest = joined->second, best = i;
    }
    if (lowest == ~0u) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + std::ptrdiff_t(best) + 1);
  }
  std::vector<u32> ids;
  for (const std::string& part : parts) ids.push_back(ranks.at(part));
  return ids;
}

// Tokens in any order, those that no merges make among them, and many that can be split in several ways.
TEST(RankKeys, MergeAsRanksDo) {
  std::mt19937 random(3);
  u32 checked = 0;
  for (u32 vocabulary = 0; vocabulary < 40; ++vocabulary) {
    const auto letters = [&](u32 most) {
      std::string text;
      for (u32 left = 1 + random() % most; left > 0; --left) text += char('a' + random() % 3);
      return text;
    };
    std::map<std::string, u32> ranks;
    std::vector<std::string> tokens;
    for (u32 byte = 0; byte < 256; ++byte) ranks[std::string(1, char(byte))] = byte;
    while (tokens.size() < 40) {
      const std::string token = letters(6);
      if (ranks.try_emplace(token, u32(256 + tokens.size())).second) tokens.push_back(token);
    }
    const auto tokenizer = tokenizer_of(with_bytes(tokens));
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    for (u32 i = 0; i < 200; ++i) {
      const std::string word = letters(16);
      ASSERT_EQ(*tokenizer->encode(word, {.bos = Tokenizer::Bos::off}), by_rank(ranks, word)) << word;
      checked += u32(word.size() > 6);
    }
  }
  EXPECT_GT(checked, 1000u);
}

TEST(RankKeys, HaveLlama3sSpecialTokens) {
  const auto tokenizer = tokenizer_of(with_bytes({"hi"}));
  ASSERT_TRUE(tokenizer.has_value());
  EXPECT_EQ(tokenizer->vocab_size(), 257u + 256);
  EXPECT_EQ(tokenizer->bos(), 257u);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_TRUE(tokenizer->is_end(257 + 1));
  EXPECT_TRUE(tokenizer->is_end(257 + 9));
  EXPECT_EQ(*tokenizer->encode("hi<|eot_id|>", {.parse_special = true}), (std::vector<u32>{257, 256, 266}));
  EXPECT_EQ(tokenizer->encode("<|eot_id|>")->size(), 1u + 10);  // a text's own
  EXPECT_NE(tokenizer->chat_template(), "");
}

TEST(RankKeys, RefuseWhatIsNoRankList) {
  const std::string good = with_bytes();
  EXPECT_EQ(error_of(good), "");
  EXPECT_EQ(error_of(good + "\r\n" + line("ab", 256)), "");
  const std::string is_none = " is no base64 and a rank";
  EXPECT_EQ(error_of(""), "tokenizer.model: no token is the byte 0");
  EXPECT_EQ(error_of("<!doctype html>\n"), "tokenizer.model: line 1" + is_none);
  EXPECT_EQ(error_of(good + "YQ= 256\n"), "tokenizer.model: line 257" + is_none);
  EXPECT_EQ(error_of(good + "YR== 256\n"), "tokenizer.model: line 257" + is_none);  // bits that are no byte's
  EXPECT_EQ(error_of(good + "Y=FB 256\n"), "tokenizer.model: line 257" + is_none);
  EXPECT_EQ(error_of(good + "YWI=\n"), "tokenizer.model: line 257" + is_none);
  EXPECT_EQ(error_of(good + "YWI= 256 \n"), "tokenizer.model: line 257" + is_none);
  EXPECT_EQ(error_of(good + "YWI= -1\n"), "tokenizer.model: line 257" + is_none);
  EXPECT_EQ(error_of(good + "YWI= 99999999999\n"), "tokenizer.model: line 257" + is_none);
  EXPECT_EQ(error_of(good + " 256\n"), "tokenizer.model: line 257" + is_none);
  EXPECT_EQ(error_of(good + line("ab", 255)), "tokenizer.model: line 257 has rank 255, not 256");
  EXPECT_EQ(error_of(good + line("ab", 257)), "tokenizer.model: line 257 has rank 257, not 256");
  EXPECT_EQ(error_of(good + line("a", 256)), "tokenizer.model: line 257 has the token of another");
  EXPECT_EQ(error_of(good + line(std::string(1025, 'a'), 256)), "tokenizer.model: line 257 has a token of 1025 bytes");
  EXPECT_EQ(error_of(good.substr(0, good.size() - line("\xff", 255).size())),
            "tokenizer.model: no token is the byte 255");
}

// ---- ../shared/vectors/sources, which not every machine has

TEST(RankKeys, GiveTheIdsOfTiktoken) {
  const std::string folder = test::shared_path("vectors/sources/");
  const auto cases = test::read_file(folder + "aqlm-rs/tokens.json");
  if (!cases) GTEST_SKIP() << "no " << folder << "aqlm-rs/tokens.json on this machine";
  const json expected = json::parse(*cases), all = json::parse(*test::read_file(folder + "tokenizer/texts.json"));
  std::map<std::string, std::string> texts;
  for (const json& each : all["texts"]) texts[each["name"]] = each["text"];
  const json specials = json::parse(*test::read_file(folder + "aqlm-rs/specials.json"));
  for (const char* model : {"mini-v1", "mini-v2"}) {
    const auto ranks = test::read_file(folder + "aqlm-rs/models/" + model + "/tokenizer.model");
    const auto tokenizer = tokenizer_of({reinterpret_cast<const char*>(ranks->data()), ranks->size()});
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    EXPECT_GE(expected["cases"].size(), 54u);
    for (const json& each : expected["cases"]) {
      const std::vector<u32> ids = each["ids"];
      EXPECT_EQ(*tokenizer->encode(texts.at(each["name"]), {.bos = Tokenizer::Bos::off}), ids) << each["name"];
    }
    u32 id = specials["first_special_id"];
    for (const json& name : specials["in_order"]) EXPECT_EQ(tokenizer->spelling(id++), name.get<std::string>());
    EXPECT_EQ(tokenizer->vocab_size(), id);
  }
}

}  // namespace
}  // namespace pronk::text
