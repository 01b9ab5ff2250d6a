// A vocabulary in little memory: spellings in one arena, found through open addressing; merges the same way.
// Internal to src/text; tokenizer.h is the public side.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/metadata.h"
#include "text/pre_tokenizer.h"

namespace pronk::text {

constexpr u32 no_token = ~u32{0};

enum class Kind : u8 { sentencepiece, byte_bpe };

// Values of `tokenizer.ggml.token_type`.
enum class TokenType : u8 { undefined, normal, unknown, control, user_defined, unused, byte };

// Spellings by id, and back. An empty spelling is nobody's and is never found; of equal ones the first is found.
class Spellings {
 public:
  Status load(const files::Array& strings, std::string_view key);
  u32 count() const { return u32(starts_.size()) - 1; }
  std::string_view operator[](u32 id) const { return {bytes_.data() + starts_[id], starts_[id + 1] - starts_[id]}; }
  u32 find(std::string_view spelling) const;  // no_token when there is none
  u32 longest() const { return longest_; }
  u64 memory_bytes() const { return bytes_.capacity() + (starts_.capacity() + slots_.capacity()) * sizeof(u32); }

 private:
  std::string bytes_;
  std::vector<u32> starts_{0};  // count() + 1
  std::vector<u32> slots_;      // id or no_token; at most 2/3 full
  u32 longest_ = 0;
};

struct Merge {
  u32 left, right, result;
};

// Merges by rank, and the rank of a pair. Of equal pairs the first counts.
class Merges {
 public:
  Status load(const files::Array& strings, const Spellings& spellings, std::string_view key);
  u32 rank(u32 left, u32 right) const;  // no_token when the pair does not merge
  const Merge& operator[](u32 rank) const { return merges_[rank]; }
  u64 memory_bytes() const { return merges_.capacity() * sizeof(Merge) + slots_.capacity() * sizeof(u32); }

 private:
  std::vector<Merge> merges_;
  std::vector<u32> slots_;
};

struct Vocabulary {
  Kind kind = Kind::sentencepiece;
  PreTokenizerKind pre{};
  Spellings spellings;
  std::vector<TokenType> types;       // by id
  std::vector<u32> score_keys;        // sentencepiece, by id: the higher the score, the smaller the key
  Merges merges;                      // byte_bpe
  std::array<u32, 256> byte_tokens;   // what spells a single byte; no_token: nothing does
  u32 unknown = no_token;             // sentencepiece: for a byte that has no token
  std::vector<u32> special;           // control, user-defined and unknown tokens by spelling, in byte order
  bool strips_after_special = false;  // Phi-3: special tokens swallow the white space after them
  bool add_bos = false, add_eos = false, add_space_prefix = false;
  u32 bos = no_token, eos = no_token;
  std::vector<u32> ends;  // sorted
  std::string chat_template;
};

Result<Vocabulary> load_vocabulary(const files::Metadata& metadata);

// The character that byte-level BPE writes for a byte, as a code point below 0x180 (Radford et al. 2019: printable
// Latin-1 stands for itself, the rest follow from 0x100 on), and back: no_token for a code point that is none of them.
u32 byte_to_char(u8 byte);
u32 char_to_byte(u32 code_point);

// Appends the ids of one stretch of ordinary text.
void encode_sentencepiece(const Vocabulary& vocabulary, std::string_view text, bool space_prefix,
                          std::vector<u32>& out);
void encode_byte_bpe(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out);

// A text cut at the special tokens in it: either a token, or ordinary text [start, end).
struct Fragment {
  u32 token = no_token;
  u32 start = 0, end = 0;
};
// With control == false only user-defined tokens are looked for. Longer spellings go before shorter ones wherever they
// stand.
std::vector<Fragment> split_special(const Vocabulary& vocabulary, std::string_view text, bool control);

}  // namespace pronk::text
