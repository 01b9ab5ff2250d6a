#include "fixtures.h"

namespace pronk::text {
namespace {

using Bos = Tokenizer::Bos;

// [PAD] [UNK] [CLS] [SEP] (0 to 3), then pieces: "▁a" begins a word, "b" goes on.
struct WordPiece : Fixture {
  explicit WordPiece(const std::vector<std::string>& pieces) {
    model = "bert";
    add("[PAD]", 3);
    add("[UNK]", 2);
    add("[CLS]", 3);
    add("[SEP]", 3);
    for (const std::string& piece : pieces) add(piece);
  }

  files::GgufWriter with_ids() const {
    files::GgufWriter out = writer();
    out.add_u32("tokenizer.ggml.unknown_token_id", 1);
    out.add_u32("tokenizer.ggml.cls_token_id", 2);
    out.add_u32("tokenizer.ggml.seperator_token_id", 3);
    return out;
  }
};

Ids plain(const Tokenizer& tokenizer, std::string_view text) { return encode(tokenizer, text, {false, Bos::off}); }

TEST(WordPiece, longest_piece_first) {
  const Tokenizer tokenizer = Fixture::load(WordPiece({"▁un", "▁unaff", "aff", "able", "a", "▁a"}).with_ids());
  EXPECT_EQ(plain(tokenizer, "unaffable"), (Ids{5, 7}));
  EXPECT_EQ(plain(tokenizer, "unable a"), (Ids{4, 7, 9}));
  EXPECT_EQ(plain(tokenizer, "una"), (Ids{4, 8}));
  EXPECT_EQ(plain(tokenizer, "unx a"), (Ids{1, 9}));  // no piece for x: the whole word is unknown
  EXPECT_EQ(plain(tokenizer, ""), (Ids{}));
  EXPECT_EQ(plain(tokenizer, " \n\t "), (Ids{}));
}

TEST(WordPiece, words) {
  const Tokenizer tokenizer = Fixture::load(WordPiece({"▁a", "▁b", "▁,", "▁$", "▁中", "▁€", "a", "b", "€"}).with_ids());
  const u32 a = 4, b = 5, comma = 6, dollar = 7, zhong = 8;
  EXPECT_EQ(plain(tokenizer, "a,b"), (Ids{a, comma, b}));
  EXPECT_EQ(plain(tokenizer, "a$b"), (Ids{a, dollar, b}));  // an ASCII symbol stands alone
  EXPECT_EQ(plain(tokenizer, "a€b"), (Ids{a, 12, 11}));     // another one does not
  EXPECT_EQ(plain(tokenizer, "a中中b"), (Ids{a, zhong, zhong, b}));
  EXPECT_EQ(plain(tokenizer, "a\u00a0b\u3000a\u0085b"), (Ids{a, b, a, b}));
  EXPECT_EQ(plain(tokenizer, std::string_view("a\0\x01\u200d\xff"
                                              "b",
                                              8)),
            (Ids{a, 11}));  // control and ill-formed characters are dropped
}

TEST(WordPiece, lower_case_without_accents) {
  const WordPiece fixture({"▁a", "a", "e", "▁e", "▁É", "▁é", "ß", "▁क", "ा", "▁ᄒ", "ᅡ", "ᆫ"});
  const Tokenizer uncased = Fixture::load(fixture.with_ids());
  EXPECT_EQ(plain(uncased, "AÀÁ"), (Ids{4, 5, 5}));
  EXPECT_EQ(plain(uncased, "É e\u0301 Ế"), (Ids{7, 7, 7}));
  EXPECT_EQ(plain(uncased, "Aß"), (Ids{4, 10}));
  EXPECT_EQ(plain(uncased, "का क\u093c"), (Ids{11, 12, 11}));  // a spacing mark stays, a nonspacing one goes
  EXPECT_EQ(plain(uncased, "한"), (Ids{13, 14, 15}));          // Hangul falls into its letters

  files::GgufWriter writer = fixture.with_ids();
  writer.add_bool("tokenizer.ggml.normalizer.lowercase", false);
  EXPECT_EQ(plain(Fixture::load(writer), "É é"), (Ids{8, 9}));
  files::GgufWriter accents = fixture.with_ids();
  accents.add_bool("tokenizer.ggml.normalizer.strip_accents", false);
  EXPECT_EQ(plain(Fixture::load(accents), "É é"), (Ids{9, 9}));
}

TEST(WordPiece, cls_and_sep) {
  const Tokenizer tokenizer = Fixture::load(WordPiece({"▁a"}).with_ids());
  EXPECT_EQ(encode(tokenizer, "a"), (Ids{2, 4, 3}));
  EXPECT_EQ(encode(tokenizer, ""), (Ids{2, 3}));
  EXPECT_EQ(encode(tokenizer, "[SEP]a[SEP]", {true, Bos::off}), (Ids{3, 4, 3}));
  EXPECT_EQ(plain(tokenizer, "[SEP]").size(), 3u);  // ordinary text: a bracket, a word, a bracket
  EXPECT_EQ(tokenizer.bos(), 2u);

  files::GgufWriter writer = WordPiece({"▁a"}).with_ids();
  writer.add_u32("tokenizer.ggml.bos_token_id", 0);  // goes before cls
  writer.add_bool("tokenizer.ggml.add_sep_token", false);
  EXPECT_EQ(encode(Fixture::load(writer), "a"), (Ids{0, 4}));
}

// BERT's own ids where the file names none.
TEST(WordPiece, default_ids) {
  WordPiece fixture({});
  while (fixture.tokens.size() < 104) fixture.add("▁w" + std::to_string(fixture.tokens.size()));
  EXPECT_EQ(encode(fixture.tokenizer(), "w50 x"), (Ids{101, 50, 100, 102}));
  EXPECT_EQ(error_of(WordPiece({}).writer()), "tokenizer.ggml.unknown_token_id is not there");
}

TEST(WordPiece, a_word_of_more_than_100_characters_is_unknown) {
  const Tokenizer tokenizer = Fixture::load(WordPiece({"▁é", "é"}).with_ids());
  std::string text;
  for (u32 i = 0; i < 100; ++i) text += "\u00c9";  // two bytes each
  files::GgufWriter accents = WordPiece({"▁é", "é"}).with_ids();
  accents.add_bool("tokenizer.ggml.normalizer.strip_accents", false);
  const Tokenizer with_accents = Fixture::load(accents);
  EXPECT_EQ(plain(with_accents, text).size(), 100u);
  EXPECT_EQ(plain(with_accents, text + "\u00c9"), (Ids{1}));
  EXPECT_EQ(plain(tokenizer, std::string(1 << 20, 'a') + " é"), (Ids{1, 1}));
}

TEST(WordPiece, decodes_with_spaces_between_words) {
  const Tokenizer tokenizer = Fixture::load(WordPiece({"▁un", "able", "▁a"}).with_ids());
  const Ids ids{2, 4, 5, 6, 1, 3};
  EXPECT_EQ(tokenizer.decode(ids), "unable a");
  EXPECT_EQ(tokenizer.decode(ids, true), "[CLS]unable a[UNK][SEP]");
  StreamDecoder first(tokenizer, false, true), later(tokenizer);
  std::string streamed, continued;
  for (const u32 id : ids) streamed += first.push(id), continued += later.push(id);
  EXPECT_EQ(streamed + first.finish(), "unable a");
  EXPECT_EQ(continued + later.finish(), " unable a");
}

}  // namespace
}  // namespace pronk::text
