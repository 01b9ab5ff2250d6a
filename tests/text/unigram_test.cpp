#include <limits>

#include "charsmap_fixture.h"
#include "fixtures.h"

namespace pronk::text {
namespace {

using Bos = Tokenizer::Bos;

constexpr std::string_view charsmap_key = "tokenizer.ggml.precompiled_charsmap";

// <pad> </s> <unk> (0 to 2), then pieces with their log probabilities.
struct Unigram : Fixture {
  explicit Unigram(const std::vector<std::pair<std::string, float>>& pieces) {
    model = "t5";
    add("<pad>", 3);
    add("</s>", 3);
    add("<unk>", 2);
    for (const auto& [piece, score] : pieces) add(piece, 1, score);
  }

  files::GgufWriter with_prefix(bool merges_spaces = true) const {
    files::GgufWriter out = writer();
    out.add_bool("tokenizer.ggml.add_space_prefix", true);
    out.add_bool("tokenizer.ggml.remove_extra_whitespaces", merges_spaces);
    return out;
  }
};

Ids plain(const Tokenizer& tokenizer, std::string_view text) { return encode(tokenizer, text, {false, Bos::off}); }

TEST(Unigram, the_best_sum_wins) {
  const Tokenizer tokenizer =
      Unigram({{"a", -1}, {"b", -1}, {"ab", -1.5f}, {"abc", -9}, {"c", -2}, {"bc", -1.25f}, {"aab", -2.5f}})
          .tokenizer();
  EXPECT_EQ(plain(tokenizer, "ab"), (Ids{5}));
  EXPECT_EQ(plain(tokenizer, "abc"), (Ids{3, 8}));  // -2.25 before -3.5 and -9
  EXPECT_EQ(plain(tokenizer, "aab"), (Ids{9}));     // of equal sums the longer first piece
  EXPECT_EQ(plain(tokenizer, "abcab"), (Ids{3, 8, 5}));
}

TEST(Unigram, unknown_characters) {
  const Tokenizer tokenizer = Unigram({{"a", -1}, {"b", -2}, {"中x", -1}}).tokenizer();
  EXPECT_EQ(plain(tokenizer, "a中b"), (Ids{3, 2, 4}));
  EXPECT_EQ(plain(tokenizer, "中文a文"), (Ids{2, 3, 2}));  // a run of them is one
  EXPECT_EQ(plain(tokenizer, "中x"), (Ids{5}));
  EXPECT_EQ(plain(tokenizer,
                  "\xff"
                  "a\xe4\xb8"),
            (Ids{2, 3, 2}));
  EXPECT_EQ(plain(tokenizer, ""), (Ids{}));
}

TEST(Unigram, spaces) {
  const Unigram fixture({{"▁", -2}, {"▁a", -1}, {"a", -3}, {"▁▁", -3}});
  const u32 space = 3, space_a = 4, a = 5, two = 6;
  const Tokenizer merging = Fixture::load(fixture.with_prefix(true)),
                  keeping = Fixture::load(fixture.with_prefix(false));
  EXPECT_EQ(plain(merging, "a"), (Ids{space_a}));
  EXPECT_EQ(plain(merging, "  a   aa  "), (Ids{space_a, space_a, a}));
  EXPECT_EQ(plain(merging, "   "), (Ids{}));
  EXPECT_EQ(plain(keeping, "a  a "), (Ids{space_a, space, space_a, space}));
  EXPECT_EQ(plain(keeping, " a"), (Ids{space, space_a}));
  EXPECT_EQ(plain(keeping, "  "), (Ids{two}));
  EXPECT_EQ(plain(fixture.tokenizer(), "a a"), (Ids{a, space_a}));  // the file asks for no prefix
}

TEST(Unigram, bos_and_eos) {
  const Unigram fixture({{"a", -1}});
  EXPECT_EQ(encode(fixture.tokenizer(), "a"), (Ids{3, 1}));  // as T5: eos
  files::GgufWriter writer = fixture.writer();
  writer.add_u32("tokenizer.ggml.bos_token_id", 0);
  writer.add_bool("tokenizer.ggml.add_bos_token", true);
  EXPECT_EQ(encode(Fixture::load(writer), "a"), (Ids{0, 3, 1}));  // as XLM-RoBERTa: both
}

TEST(Unigram, user_defined_pieces_are_found_first) {
  Unigram fixture({{"a", -1}, {"b", -1}, {"ab", -0.5f}});
  const u32 user = fixture.add("<ab>", 4);
  EXPECT_EQ(plain(fixture.tokenizer(), "ab<ab>b"), (Ids{5, user, 4}));
}

TEST(Unigram, charsmap_replaces_the_longest_match) {
  const std::string map =
      make_charsmap({{"A", "a"}, {"AB", "x y"}, {"\u3000", " "}, {"e\u0301", "é"}, {"\u200b", ""}, {"ﬁ", "fi"}});
  const Unigram fixture({{"▁", -2}, {"a", -1}, {"B", -1}, {"x", -1}, {"y", -1}, {"é", -1}, {"f", -1}, {"i", -1}});
  files::GgufWriter writer = fixture.with_prefix();
  add_bytes(writer, charsmap_key, map);
  const Tokenizer tokenizer = Fixture::load(writer);
  const auto spelled = [&](std::string_view text) {
    std::string out;
    for (const u32 id : plain(tokenizer, text)) out += tokenizer.spelling(id);
    return out;
  };
  EXPECT_EQ(spelled("A"), "▁a");
  EXPECT_EQ(spelled("ABA"), "▁x▁ya");
  EXPECT_EQ(spelled("a\u3000a"), "▁a▁a");
  EXPECT_EQ(spelled("e\u0301\u200bﬁ"), "▁éfi");
  EXPECT_EQ(spelled("AA"), "▁aa");
  EXPECT_EQ(spelled("e"), "▁<unk>");  // the start of a match is none
}

TEST(Unigram, decodes) {
  const Tokenizer tokenizer = Fixture::load(Unigram({{"▁ab", -1}, {"c", -1}}).with_prefix());
  EXPECT_EQ(tokenizer.decode(Ids{3, 4, 3, 2, 1}), "abc ab");
  EXPECT_EQ(tokenizer.decode(Ids{3, 2, 1}, true), "ab<unk></s>");
  StreamDecoder first(tokenizer, false, true), later(tokenizer);
  EXPECT_EQ(first.push(3) + first.push(3) + first.finish(), "ab ab");
  EXPECT_EQ(later.push(3) + later.finish(), " ab");
}

TEST(Unigram, hostile_scores_and_ids) {
  Unigram infinite({{"a", -std::numeric_limits<float>::infinity()}});
  EXPECT_EQ(error_of(infinite.writer()), "tokenizer.ggml.scores[3] is infinite");
  Unigram fixture({{"a", -1}});
  fixture.tokens.resize(2), fixture.types.resize(2), fixture.scores.resize(2);
  EXPECT_EQ(error_of(fixture.writer()), "tokenizer.ggml.unknown_token_id is not there");
  Unigram huge({{"a", std::numeric_limits<float>::max()}, {"b", std::numeric_limits<float>::lowest()}});
  EXPECT_EQ(plain(huge.tokenizer(), "aba").size(), 3u);
}

TEST(Unigram, hostile_charsmaps) {
  const auto error = [](std::string_view map) {
    files::GgufWriter writer = Unigram({{"a", -1}}).writer();
    add_bytes(writer, charsmap_key, map);
    return error_of(writer);
  };
  const std::string good = make_charsmap({{"A", "a"}});
  EXPECT_EQ(error(good), "");
  EXPECT_EQ(error(""), std::string(charsmap_key) + " has fewer than 4 bytes");
  EXPECT_EQ(error(std::string(4, '\0')), std::string(charsmap_key) + " is shorter than its double array");
  EXPECT_EQ(error(std::string(12, '\xff')), std::string(charsmap_key) + " is shorter than its double array");
  EXPECT_EQ(error(good.substr(0, 100)), std::string(charsmap_key) + " is shorter than its double array");
  EXPECT_EQ(error(good.substr(0, good.size() - 1)), std::string(charsmap_key) + " has a replacement without an end");
  EXPECT_EQ(error(make_charsmap({{"A", std::string(256, 'a')}})),
            std::string(charsmap_key) + " has a replacement of more than 255 bytes");
  EXPECT_EQ(error(make_charsmap({{"A", std::string(255, 'a')}})), "");
  files::GgufWriter text = Unigram({{"a", -1}}).writer();
  text.add_string(charsmap_key, good);
  EXPECT_NE(error_of(text).find(charsmap_key), std::string::npos);
}

// A map of random units: offsets and values point anywhere.
TEST(Unigram, damaged_charsmaps_stay_inside) {
  Random random{17};
  for (u32 round = 0; round < 200; ++round) {
    std::string map = make_charsmap({{"A", "a"}, {"AB", "b"}, {"é", "e"}});
    for (u32 i = 0; i < 40; ++i) map[4 + random.below(map.size() - 5)] = char(random.next());
    map.back() = '\0';
    files::GgufWriter writer = Unigram({{"a", -1}, {"b", -1}}).writer();
    add_bytes(writer, charsmap_key, map);
    const auto tokenizer = Tokenizer::from_metadata(metadata_of(writer));
    if (!tokenizer) continue;  // a replacement may have become too long
    for (const u32 id : plain(*tokenizer, "AABéA \xff xyz")) EXPECT_LT(id, tokenizer->vocab_size());
  }
}

// A map whose every state leads to itself: a walk must not go through the whole text at each place.
TEST(Unigram, a_circular_charsmap_takes_linear_time) {
  const u32 offset = 'a' << 10;  // from unit 'a' (^ its offset) back to 0, from there by 'a' to 'a' again
  std::string map = charsmap_bytes({{0, 0}, {'a', offset | 'a'}}, std::string(1, '\0'));
  files::GgufWriter writer = Unigram({{"a", -1}}).writer();
  add_bytes(writer, charsmap_key, map);
  EXPECT_EQ(plain(Fixture::load(writer), std::string(1 << 20, 'a')).size(), 1u << 20);
}

TEST(Unigram, long_runs) {
  Unigram fixture({{"▁", -3}, {"a", -2}});
  std::string part = "a";
  for (u32 i = 0; i < 6; ++i) part += part, fixture.add(part, 1, -2.5f);
  const Tokenizer tokenizer = Fixture::load(fixture.with_prefix(false));
  EXPECT_EQ(plain(tokenizer, std::string(1 << 20, 'a')).size(), (1u << 20) / 64 + 1);
  EXPECT_EQ(plain(tokenizer, std::string(1 << 20, ' ')).size(), 1u << 20);
  EXPECT_EQ(plain(tokenizer, std::string(1 << 20, '\xff')).size(), 2u);
}

}  // namespace
}  // namespace pronk::text
