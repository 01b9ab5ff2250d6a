#include <cmath>

#include "fixtures.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

using Bos = Tokenizer::Bos;

TEST(ByteBpe, merges_by_rank_then_from_the_left) {
  Fixture fixture = byte_fixture();
  const u32 bc = fixture.merge("b", "c"), ab = fixture.merge("a", "b"), aa = fixture.merge("a", "a");
  const u32 abc = fixture.merge("a", "bc");
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "abc"), (Ids{abc}));
  EXPECT_EQ(encode(tokenizer, "ab"), (Ids{ab}));
  EXPECT_EQ(encode(tokenizer, "aaa"), (Ids{aa, 'a'}));
  EXPECT_EQ(encode(tokenizer, "aabc"), (Ids{aa, bc}));
  EXPECT_EQ(encode(tokenizer, "xbc c"), (Ids{'x', bc, ' ', 'c'}));
}

// Long words go through the heap, short ones through a scan; both must merge alike.
TEST(ByteBpe, long_words_as_a_plain_search_gives) {
  Fixture fixture = byte_fixture();
  Random random{3};
  std::vector<std::string> parts = {"a", "b", "c", "d"};
  for (u32 i = 0; i < 60; ++i) {
    const std::string left = parts[random.below(parts.size())], right = parts[random.below(parts.size())];
    if (left.size() + right.size() > 9 || std::find(parts.begin(), parts.end(), left + right) != parts.end()) continue;
    fixture.merge(left, right);
    parts.push_back(left + right);
  }
  const Tokenizer tokenizer = fixture.tokenizer();
  for (u32 round = 0; round < 300; ++round) {
    std::string text;
    for (u64 i = random.below(60); i-- > 0;) text += char('a' + random.below(4));
    std::vector<std::string> pieces;
    for (const char c : text) pieces.emplace_back(1, c);
    for (const std::string& merge : fixture.merges) {  // in order of rank: all pairs of one rank before the next…
      const u64 space = merge.find(' ');
      const std::string left = merge.substr(0, space), right = merge.substr(space + 1);
      for (u64 i = 0; i + 1 < pieces.size(); ++i) {
        if (pieces[i] != left || pieces[i + 1] != right) continue;
        pieces[i] += right;
        pieces.erase(pieces.begin() + i64(i) + 1);
      }
    }
    Ids wanted;  // …which is the same here, since a merge's parts are always made by lower ranks
    for (const std::string& piece : pieces) wanted.push_back(*tokenizer.find(piece));
    EXPECT_EQ(encode(tokenizer, text), wanted) << text;
  }
}

TEST(ByteBpe, any_bytes_come_back) {
  Fixture fixture = byte_fixture();
  fixture.merge("a", "b");
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "qwen2", "default"}) {
    fixture.pre = pre;
    const Tokenizer tokenizer = fixture.tokenizer();
    Random random{11};
    for (u32 round = 0; round < 200; ++round) {
      std::string text;
      for (u64 i = random.below(100); i-- > 0;) {
        text += random.below(2) ? char(random.next()) : "ab 1\n'"[random.below(6)];
      }
      EXPECT_EQ(tokenizer.decode(encode(tokenizer, text)), text);
      EXPECT_EQ(tokenizer.decode(encode(tokenizer, text, {true, Bos::off})), text);
    }
  }
}

TEST(ByteBpe, bytes_without_a_token_are_dropped) {
  Fixture fixture;
  fixture.add("a");
  fixture.add("b");
  fixture.merge("a", "b");
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "a-b ab\x01"), (Ids{0, 1, 2}));
  EXPECT_EQ(encode(tokenizer, "???"), (Ids{}));
}

TEST(ByteBpe, ignore_merges_takes_a_whole_word) {
  Fixture fixture = byte_fixture();
  const u32 whole = fixture.add("Ġabc");  // no merges lead to it
  fixture.pre = "qwen2";
  EXPECT_EQ(encode(fixture.tokenizer(), " abc"), (Ids{' ', 'a', 'b', 'c'}));
  fixture.pre = "llama-bpe";
  EXPECT_EQ(encode(fixture.tokenizer(), " abc abcd"), (Ids{whole, ' ', 'a', 'b', 'c', 'd'}));
}

// <bos> (0), <0x00> … <0xFF> (id == byte + 1), then characters and merges.
Fixture gemma4_fixture() {
  Fixture bytes = sentencepiece_fixture(), out;
  out.model = "gemma4";
  out.pre = "default";
  out.add("<bos>", 3);
  for (u32 byte = 0; byte < 256; ++byte) out.add(bytes.tokens[3 + byte], 6);
  for (const char* character : {"a", "b", "▁", "\n", "é"}) out.add(character);
  return out;
}

TEST(BpeOverCharacters, merges_across_spaces_but_not_lines) {
  Fixture fixture = gemma4_fixture();
  const u32 space_a = fixture.merge("▁", "a"), b_space_a = fixture.merge("b", "▁a"), e_b = fixture.merge("é", "b");
  const u32 breaks = fixture.add("\n\n");
  fixture.merge("b", "\n");
  const u32 a = *fixture.tokenizer().find("a"), b = a + 1, space = a + 2, line = a + 3;
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "b a a"), (Ids{b_space_a, space_a}));
  EXPECT_EQ(encode(tokenizer, "éb  "), (Ids{e_b, space, space}));
  EXPECT_EQ(encode(tokenizer, "b\na"), (Ids{b, line, a}));
  EXPECT_EQ(encode(tokenizer, "a\n\nb"), (Ids{a, breaks, b}));      // a token without merges
  EXPECT_EQ(encode(tokenizer, "\n\n\n"), (Ids{line, line, line}));  // no token: characters
  EXPECT_EQ(encode(tokenizer, "aÉ\xff"), (Ids{a, 0xc3 + 1, 0x89 + 1, 0xff + 1}));
  EXPECT_EQ(tokenizer.decode(encode(tokenizer, " b aÉ\n")), " b aÉ\n");
  EXPECT_FALSE(tokenizer.strips_leading_space());
}

// The first files of Gemma 4 say that no bos is added.
TEST(BpeOverCharacters, gemma4_always_adds_bos) {
  files::GgufWriter writer = gemma4_fixture().writer();
  writer.add_u32("tokenizer.ggml.bos_token_id", 0);
  writer.add_bool("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ(encode(Fixture::load(writer), ""), (Ids{0}));
  EXPECT_FALSE(gemma4_fixture().tokenizer().adds_bos());
}

TEST(SentencePiece, highest_score_then_leftmost) {
  Fixture fixture = sentencepiece_fixture();
  const u32 a = fixture.add("a", 1, -10), b = fixture.add("b", 1, -10), c = fixture.add("c", 1, -10);
  const u32 bc = fixture.add("bc", 1, -2), aa = fixture.add("aa", 1, -3);
  fixture.add("ab", 1, -4);
  const u32 space_a = fixture.add("▁a", 1, -5), space_space = fixture.add("▁▁", 1, -1);
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "abc", {false, Bos::off}), (Ids{space_a, bc}));
  EXPECT_EQ(encode(tokenizer, "aaa", {false, Bos::off}), (Ids{259, aa, a}));
  EXPECT_EQ(encode(tokenizer, " b  c", {false, Bos::off}), (Ids{space_space, b, space_space, c}));
  EXPECT_EQ(encode(tokenizer, "abc"), (Ids{1, space_a, bc}));  // bos by default
  EXPECT_EQ(encode(tokenizer, "", {false, Bos::off}), (Ids{}));
  EXPECT_EQ(encode(tokenizer, ""), (Ids{1}));
}

TEST(SentencePiece, bytes_stand_in) {
  const Tokenizer tokenizer = sentencepiece_fixture().tokenizer();
  EXPECT_EQ(encode(tokenizer, "é\n", {false, Bos::off}), (Ids{259, 0xc3 + 3, 0xa9 + 3, '\n' + 3}));
  EXPECT_EQ(encode(tokenizer, "\xf0\x9f", {false, Bos::off}), (Ids{259, 0xf0 + 3, 0x9f + 3}));
  Random random{5};
  for (u32 round = 0; round < 200; ++round) {
    std::string text;
    for (u64 i = random.below(50); i-- > 0;) text += random.below(4) ? char(random.next()) : ' ';
    EXPECT_EQ(tokenizer.decode(encode(tokenizer, text)), text);
  }
}

TEST(SentencePiece, a_byte_without_a_token_is_unknown) {
  Fixture fixture;
  fixture.model = "llama";
  fixture.add("<unk>", 2);
  fixture.add("<s>", 3);
  fixture.add("</s>", 3);
  const u32 a = fixture.add("a"), space = fixture.add("▁"), line = fixture.add("\n");
  EXPECT_EQ(encode(fixture.tokenizer(), "ab\n"), (Ids{1, space, a, 0, line}));
}

TEST(SentencePiece, space_prefix_flag) {
  files::GgufWriter writer = sentencepiece_fixture().writer();
  writer.add_bool("tokenizer.ggml.add_space_prefix", false);
  writer.add_bool("tokenizer.ggml.add_bos_token", false);
  writer.add_bool("tokenizer.ggml.add_eos_token", true);
  const Tokenizer tokenizer = Fixture::load(writer);
  EXPECT_EQ(encode(tokenizer, "a"), (Ids{'a' + 3, 2}));
  EXPECT_EQ(encode(tokenizer, "a", {false, Bos::on}), (Ids{1, 'a' + 3, 2}));
  EXPECT_EQ(encode(tokenizer, "a", {false, Bos::off}), (Ids{'a' + 3}));
  EXPECT_EQ(tokenizer.decode(Ids{259, 'a' + 3}), " a");
  EXPECT_FALSE(tokenizer.adds_bos());
  EXPECT_TRUE(tokenizer.adds_eos());
}

TEST(SpecialTokens, control_only_when_asked_user_defined_always) {
  Fixture fixture = byte_fixture();
  const u32 control = fixture.add("<c>", 3), user = fixture.add("<u>", 4), unused = fixture.add("<x>", 5);
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "a<c><u>"), (Ids{'a', '<', 'c', '>', user}));
  EXPECT_EQ(encode(tokenizer, "a<c><u>b", {true, Bos::off}), (Ids{'a', control, user, 'b'}));
  EXPECT_EQ(encode(tokenizer, "<x>", {true, Bos::off}), (Ids{'<', 'x', '>'}));
  const Ids all{'a', control, user, unused};
  EXPECT_EQ(tokenizer.decode(all), "a<u>");
  EXPECT_EQ(tokenizer.decode(all, true), "a<c><u>");
  EXPECT_TRUE(tokenizer.is_control(control));
  EXPECT_FALSE(tokenizer.is_control(user));
}

TEST(SpecialTokens, longer_before_shorter_before_leftmost) {
  Fixture fixture = byte_fixture();
  const u32 ab = fixture.add("ab", 4), bcd = fixture.add("bcd", 4), spaces = fixture.add("  ", 4);
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "abcd"), (Ids{'a', bcd}));
  EXPECT_EQ(encode(tokenizer, "abab"), (Ids{ab, ab}));
  EXPECT_EQ(encode(tokenizer, "     "), (Ids{spaces, spaces, ' '}));
  EXPECT_EQ(encode(tokenizer, "bc"), (Ids{'b', 'c'}));
  EXPECT_EQ(tokenizer.decode(encode(tokenizer, "a  b")), "a  b");
}

TEST(SpecialTokens, sentencepiece_does_not_merge_into_them) {
  Fixture fixture = sentencepiece_fixture();
  const u32 open = fixture.add("<s"), close = fixture.add(">");
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "<s>", {false, Bos::off}), (Ids{259, open, close}));
  EXPECT_EQ(encode(tokenizer, "<s>", {true, Bos::off}), (Ids{1}));
}

// The text after a special token begins anew, with a space of its own.
TEST(SpecialTokens, space_prefix_after_each) {
  const Tokenizer tokenizer = sentencepiece_fixture().tokenizer();
  EXPECT_EQ(encode(tokenizer, "a</s>b", {true, Bos::off}), (Ids{259, 'a' + 3, 2, 259, 'b' + 3}));
}

TEST(SpecialTokens, phi3_swallows_white_space) {
  Fixture fixture = sentencepiece_fixture();
  const u32 user = fixture.add("<|user|>", 3);
  EXPECT_EQ(encode(fixture.tokenizer(), "<|user|>\n b", {true, Bos::off}), (Ids{user, 259, '\n' + 3, 259, 'b' + 3}));
  fixture.name = "Phi-3 mini";
  EXPECT_EQ(encode(fixture.tokenizer(), "<|user|>\n b", {true, Bos::off}), (Ids{user, 259, 'b' + 3}));
  EXPECT_EQ(encode(fixture.tokenizer(), "<s> b", {true, Bos::off}), (Ids{1, 259, 259, 'b' + 3}));
}

TEST(SpecialTokens, ends) {
  Fixture fixture = byte_fixture();
  const u32 eos = fixture.add("<stop>", 3), turn = fixture.add("<|im_end|>", 1), eot = fixture.add("<over>", 3);
  fixture.add("<pad>", 3);
  files::GgufWriter writer = fixture.writer();
  writer.add_u32("tokenizer.ggml.eos_token_id", eos);
  writer.add_u32("tokenizer.ggml.eot_token_id", eot);
  writer.add_string("tokenizer.chat_template", "{{ messages }}");
  const Tokenizer tokenizer = Fixture::load(writer);
  EXPECT_EQ(Ids(tokenizer.end_tokens().begin(), tokenizer.end_tokens().end()), (Ids{eos, turn, eot}));
  for (u32 id = 0; id <= tokenizer.vocab_size(); ++id) {
    EXPECT_EQ(tokenizer.is_end(id), id == eos || id == turn || id == eot);
  }
  EXPECT_TRUE(tokenizer.is_control(turn));  // by its spelling, whatever the file says
  EXPECT_EQ(tokenizer.chat_template(), "{{ messages }}");
  EXPECT_EQ(tokenizer.eos(), eos);
  EXPECT_EQ(tokenizer.bos(), std::nullopt);
  const auto refused = tokenizer.encode("a", {false, Bos::on});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("tokenizer.ggml.bos_token_id"), std::string::npos);
}

TEST(SpecialTokens, an_end_of_message_is_no_end) {
  Fixture fixture = byte_fixture();
  const u32 end = fixture.add("<|end|>", 3);
  EXPECT_TRUE(fixture.tokenizer().is_end(end));  // Phi
  fixture.add("<|call|>", 3);
  EXPECT_TRUE(fixture.tokenizer().is_end(end));
  const u32 stop = fixture.add("<|return|>", 3);
  EXPECT_FALSE(fixture.tokenizer().is_end(end));  // gpt-oss
  EXPECT_TRUE(fixture.tokenizer().is_end(stop));
}

TEST(SpecialTokens, gemma4_has_a_plain_closing_tag) {
  Fixture fixture = byte_fixture();
  const u32 tag = fixture.add("</s>", 1);
  EXPECT_TRUE(fixture.tokenizer().is_control(tag));
  const u32 response = fixture.add("<|tool_response>", 3);
  EXPECT_FALSE(fixture.tokenizer().is_control(tag));
  EXPECT_FALSE(fixture.tokenizer().is_end(tag));
  EXPECT_TRUE(fixture.tokenizer().is_end(response));
}

TEST(Decode, ids_outside_the_vocabulary_are_nothing) {
  const Tokenizer tokenizer = byte_fixture().tokenizer();
  EXPECT_EQ(tokenizer.decode(Ids{'a', 256, ~0u, 'b'}), "ab");
  EXPECT_EQ(tokenizer.spelling(256), "");
  EXPECT_EQ(tokenizer.find(""), std::nullopt);
}

// Each case breaks one thing; the message must name its key in one line.
TEST(HostileMetadata, names_the_key) {
  using Break = void (*)(Fixture&);
  const std::pair<const char*, Break> cases[] = {
      {"tokenizer.ggml.model", [](Fixture& f) { f.model = "rwkv"; }},
      {"tokenizer.ggml.pre", [](Fixture& f) { f.pre = "no\nsuch"; }},
      {"tokenizer.ggml.tokens", [](Fixture& f) { f.tokens.clear(); }},
      {"tokenizer.ggml.tokens[256]", [](Fixture& f) { f.add(std::string(70000, 'x')); }},
      {"tokenizer.ggml.token_type", [](Fixture& f) { f.types.pop_back(); }},
      {"tokenizer.ggml.token_type", [](Fixture& f) { f.types.push_back(1); }},
      {"tokenizer.ggml.scores", [](Fixture& f) { f.model = "llama", f.scores.pop_back(); }},
      {"tokenizer.ggml.scores[3]", [](Fixture& f) { f.model = "llama", f.scores[3] = std::nanf(""); }},
      {"tokenizer.ggml.merges[0]", [](Fixture& f) { f.merges = {"ab"}; }},
      {"tokenizer.ggml.merges[0]", [](Fixture& f) { f.merges = {""}; }},
      {"tokenizer.ggml.merges[0]", [](Fixture& f) { f.merges = {"a b"}; }},  // "ab" is no token
      {"tokenizer.ggml.merges[1]", [](Fixture& f) { f.merge("a", "b"), f.merges.push_back("a zz"); }},
      {"tokenizer.ggml.merges[0]", [](Fixture& f) { f.merges = {"a "}; }},
  };
  for (const auto& [key, spoil] : cases) {
    Fixture fixture = byte_fixture();
    spoil(fixture);
    const std::string message = error_of(fixture.writer());
    EXPECT_EQ(message.rfind(key, 0), 0u) << key << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(HostileMetadata, ids_and_types) {
  for (const char* key :
       {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    files::GgufWriter writer = byte_fixture().writer();
    writer.add_u32(key, 256);
    EXPECT_EQ(error_of(writer).rfind(key, 0), 0u) << error_of(writer);
    files::GgufWriter none = byte_fixture().writer();
    none.add_u32(key, ~0u);  // some converters' "none"
    EXPECT_EQ(error_of(none), "");
    files::GgufWriter text = byte_fixture().writer();
    text.add_string(key, "1");
    EXPECT_NE(error_of(text).find(key), std::string::npos);
  }
  for (const char* key : {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"}) {
    files::GgufWriter writer = byte_fixture().writer();
    writer.add_bool(key, true);
    EXPECT_EQ(error_of(writer).rfind(key, 0), 0u) << error_of(writer);
  }
}

TEST(HostileMetadata, missing_keys) {
  files::GgufWriter writer;
  EXPECT_NE(error_of(writer).find("tokenizer.ggml.model"), std::string::npos);
  writer.add_string("tokenizer.ggml.model", "gpt2");
  EXPECT_NE(error_of(writer).find("tokenizer.ggml.tokens"), std::string::npos);
  writer.add_strings("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  EXPECT_NE(error_of(writer).find("tokenizer.ggml.merges"), std::string::npos);
}

TEST(HostileMetadata, odd_but_usable) {
  Fixture fixture = byte_fixture();
  fixture.add("");
  fixture.add("");
  const u32 twice = fixture.add("a");
  fixture.add("<0xZZ>", 6);
  const Tokenizer tokenizer = fixture.tokenizer();
  EXPECT_EQ(encode(tokenizer, "a"), (Ids{'a'}));  // of equal spellings the first
  EXPECT_EQ(tokenizer.decode(Ids{twice, twice - 1, twice + 1}), "a<0xZZ>");
}

// A megabyte with no place to cut must not take quadratic time, in any build: at n² it would be hours.
TEST(LongRuns, take_linear_time) {
  Fixture bytes = byte_fixture();
  for (std::string part : {"a", "Ġ"}) {
    for (u32 i = 0; i < 6; ++i) bytes.merge(part, part), part += part;
  }
  bytes.add("aaaa", 4);
  Fixture pieces = sentencepiece_fixture();
  for (std::string part : {"a", "▁"}) {
    for (u32 i = 0; i < 6; ++i) part += part, pieces.add(part, 1, float(i));
  }
  // In quadratic time these would take longer than ctest waits.
  for (const Fixture* fixture : {&bytes, &pieces}) {
    const Tokenizer tokenizer = fixture->tokenizer();
    for (const char c : {'a', ' ', '\n', 'b', '\xff'}) {
      const std::string text(1 << 20, c);
      EXPECT_EQ(tokenizer.decode(encode(tokenizer, text)), text);
    }
  }
}

TEST(Memory, is_compact) {
  Fixture fixture = byte_fixture();
  for (u32 i = 0; i < 100000; ++i) fixture.add("token" + std::to_string(i));
  EXPECT_LT(fixture.tokenizer().memory_bytes(), 4000000u);
}

}  // namespace
}  // namespace pronk::text
