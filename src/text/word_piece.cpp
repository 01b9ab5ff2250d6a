// WordPiece as BERT uses it (Devlin et al. 2018): words, lower-cased and without accents where the file says so, are
// cut from the left, each time at the longest piece there is. The spellings are those of GGUF: U+2581 in front of a
// piece that begins a word, and nothing in front of one that goes on, in place of BERT's ##.
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

constexpr u32 longest_word = 100;  // characters; BERT takes a longer one for unknown

class WordPieceEncoder {
 public:
  WordPieceEncoder(const Vocabulary& vocabulary, std::vector<u32>& out) : vocabulary_(vocabulary), out_(out) {}

  void encode(std::string_view text) {
    for (u64 at = 0; at < text.size();) {
      const DecodedChar c = decode_char(text, at);
      at += c.bytes;
      if (c.code_point != 0xfffd) normalize(c.code_point);
    }
    end_word();
  }

 private:
  void normalize(u32 code_point) {
    BaseChars chars{1, {code_point}};
    if (vocabulary_.strips_accents) chars = base_chars(code_point);
    for (u32 i = 0; i < chars.count; ++i) add(chars.chars[i]);
  }

  void add(u32 code_point) {
    const CharClass kind = class_of(code_point);
    if (kind == CharClass::control) return;
    if (kind == CharClass::space) return end_word();
    const bool alone =
        kind == CharClass::punctuation || (code_point < 0x80 && kind == CharClass::symbol) || is_chinese(code_point);
    if (alone) end_word();
    if (word_.empty()) word_ = space_mark;
    append_utf8(vocabulary_.lowers_case ? lower_case(code_point) : code_point, word_);
    ++characters_;
    if (alone) end_word();
  }

  void end_word() {
    const u64 before = out_.size();
    bool known = characters_ <= longest_word;
    for (u64 at = 0; known && at < word_.size();) {
      u64 bytes = 0, piece = 0;
      vocabulary_.pieces.for_each_prefix(vocabulary_.spellings, std::string_view(word_).substr(at),
                                         [&](u64 index, u64 length) {
                                           if (length > bytes) bytes = length, piece = index;
                                         });
      known = bytes > 0;
      if (known) out_.push_back(vocabulary_.pieces.ids()[piece]);
      at += bytes;
    }
    if (!known) {
      out_.resize(before);
      out_.push_back(vocabulary_.unknown);
    }
    word_.clear();
    characters_ = 0;
  }

  const Vocabulary& vocabulary_;
  std::vector<u32>& out_;
  std::string word_;  // empty, or U+2581 and the word so far
  u32 characters_ = 0;
};

}  // namespace

// The blocks that BERT puts spaces around, as the reference tokenizers have them (one of which begins at 2B920).
bool is_chinese(u32 c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
         (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

void encode_word_piece(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) {
  WordPieceEncoder(vocabulary, out).encode(text);
}

}  // namespace pronk::text
