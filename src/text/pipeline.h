// What a tokenizer.json says beyond a vocabulary: how a text becomes the pieces that a model encodes, and how tokens
// become text again. Internal to src/text.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "text/charsmap.h"
#include "text/pre_tokenizer.h"
#include "text/prefix_index.h"
#include "text/spellings.h"
#include "text/unicode.h"

namespace pronk::text {

// A text cut at the special tokens in it: either a token, or ordinary text [start, end).
struct Fragment {
  u32 token = no_token;
  u32 start = 0, end = 0;
};

// Parts of a text. What lies between them has been removed.
struct Pieces {
  struct Range {
    u32 start, end;
  };
  std::string text;
  std::vector<Range> ranges;  // in order, none of them empty
  bool at_start = false;      // whether the first one begins where the whole text does
};

// What becomes of matches and of what lies between them, under the names of tokenizer.json.
enum class SplitBehavior : u8 { removed, isolated, merged_with_previous, merged_with_next, contiguous };

enum class Action : u8 {
  replace,           // matches of `pattern` by `text`
  prepend,           // `text`
  prepend_if,        // `text`, where the piece does not begin with it
  prepend_if_start,  // the same, to what the whole text begins with only
  strip_left,        // white space
  strip_right,
  lower_case,        // character by character
  remove_accents,    // NFD without nonspacing marks
  surround_chinese,  // with spaces
  spell_bytes,       // each byte by its character of byte-level BPE
  map_chars,         // by `charsmap`
  nfc,
  nfd,
  nfkc,
  nfkd,
  split,  // by `pattern`
};

struct Step {
  Action action = Action::split;
  std::vector<Splitter> pattern{};  // one for replace and split
  std::string text{};
  SplitBehavior behavior = SplitBehavior::isolated;
  bool inverted = false;  // split: matches are what lies between them
  Charsmap charsmap{};
};

// Carries a step out on each piece. Fails when the text grows beyond `most_bytes`.
Status apply(const Step& step, u64 most_bytes, Pieces& pieces);

// A text of as many bytes may become this long by normalizing: enough for every character that Unicode decomposes.
constexpr u64 most_normalized_bytes(u64 bytes) { return 64 * bytes + 65536; }

// Tokens that are cut out of a text before anything else happens to it. The leftmost match counts, then the longest.
class AddedTokens {
 public:
  struct Token {
    u32 id = no_token;
    bool control = false;
    bool single_word = false;                        // not beside a character of a word
    bool strips_left = false, strips_right = false;  // takes the white space there with it
  };
  Status load(const std::vector<std::string>& spellings, std::vector<Token> tokens);
  std::vector<Fragment> split(std::string_view text, bool control) const;
  u64 memory_bytes() const { return spellings_.memory_bytes() + tokens_.capacity() * sizeof(Token); }

 private:
  Spellings spellings_;
  std::vector<Token> tokens_;
  PrefixIndex index_;
  std::array<bool, 256> first_bytes_{};
};

// Tokens to text, one after the other.
struct Decoder {
  struct Replacement {
    std::string from, to, to_first;  // to_first: in the first token
  };
  bool from_byte_chars = false;       // byte-level BPE
  bool joins_bytes = false;           // Pipeline's
  bool joins_words = false;           // a space between tokens but where `continuing` begins one
  bool cleans_up = false;             // no spaces before punctuation
  bool strips_leading_space = false;  // of the whole text
  std::string continuing;
  std::vector<Replacement> replacements;

  void append(std::string_view spelling, bool first, std::string& out) const;
};

enum class PieceModel : u8 { bpe, unigram, word_piece, word_level };

struct Vocabulary;

// What encodes and decodes in place of a vocabulary's kind. A module that makes none carries none of it.
struct Pipeline {
  virtual ~Pipeline() = default;
  // Appends the ids of a text; with `control`, control tokens in it are found.
  virtual Status encode(const Vocabulary& vocabulary, std::string_view text, bool control,
                        std::vector<u32>& out) const = 0;
  // Appends the text of a token; `first` of all.
  virtual void decode(const Vocabulary& vocabulary, u32 id, bool first, std::string& out) const = 0;

  bool joins_bytes = false;  // tokens <0xNN> are bytes
};

// Of a tokenizer.json.
struct Steps final : Pipeline {
  Status encode(const Vocabulary& vocabulary, std::string_view text, bool control,
                std::vector<u32>& out) const override;
  void decode(const Vocabulary& vocabulary, u32 id, bool first, std::string& out) const override;

  PieceModel model = PieceModel::bpe;
  std::vector<Step> normalizer, pre_tokenizer;
  AddedTokens raw_added;         // looked for in the text as it is
  AddedTokens normalized_added;  // looked for between them, in normalized text
  Decoder decoder;
  bool ignores_merges = false;                 // bpe: a piece that is a token as a whole is not built by merges
  bool byte_fallback = false;                  // a character without a token becomes its bytes, if all of them have one
  bool fuses_unknown = false;                  // bpe: unknown characters in a row are one token
  std::string continuing_prefix, word_suffix;  // of the spellings inside of a piece and of its last one
  u32 longest_word = 100;                      // word_piece: characters
};

}  // namespace pronk::text
