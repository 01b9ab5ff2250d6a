// A vocabulary as its file says, and the encoders over it. Internal to src/text; tokenizer.h is the public side.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/metadata.h"
#include "text/charsmap.h"
#include "text/pipeline.h"
#include "text/pre_tokenizer.h"
#include "text/prefix_index.h"
#include "text/spellings.h"

namespace pronk::text {

enum class Kind : u8 { sentencepiece, byte_bpe, word_piece, unigram };

// Values of `tokenizer.ggml.token_type`.
enum class TokenType : u8 { undefined, normal, unknown, control, user_defined, unused, byte };

struct Vocabulary {
  Kind kind = Kind::sentencepiece;
  Spellings spellings;
  std::vector<TokenType> types;       // by id
  std::array<u32, 256> byte_tokens;   // what spells a single byte; no_token: nothing does
  PrefixIndex special;                // control, user-defined and unknown tokens
  bool strips_after_special = false;  // Phi-3: special tokens swallow the white space after them
  bool add_bos = false, add_eos = false, add_space_prefix = false;
  bool strips_leading_space = false;   // decoding takes away the space that encoding put in front
  u32 bos = no_token, eos = no_token;  // word_piece: [CLS] and [SEP]
  u32 unknown = no_token;              // for what has no token; not byte_bpe
  std::vector<u32> ends;               // sorted
  std::vector<u32> prefix, suffix;     // what stands around a text where bos and eos are added
  std::string chat_template;
  bool composes = false;  // texts are put into NFC first

  std::vector<u32> score_keys;                     // sentencepiece, by id: the higher the score, the smaller the key
  PreTokenizer pre;                                // byte_bpe
  Merges merges;                                   // byte_bpe
  PrefixIndex pieces;                              // word_piece, unigram: what text can become
  bool lowers_case = true, strips_accents = true;  // word_piece
  std::vector<double> scores;                      // unigram, by id: log probabilities
  double unknown_score = 0;                        // unigram, for one character
  Charsmap charsmap;                               // unigram
  bool merges_spaces = false;                      // unigram: runs of spaces are one, none at the ends

  // Of a tokenizer.json: this says how texts are encoded and decoded, in place of `kind`.
  std::unique_ptr<const Pipeline> pipeline;

  // The token that text can become; control tokens are none of them.
  u32 find_piece(std::string_view spelling) const {
    const u32 id = spellings.find(spelling);
    return id == no_token || types[id] == TokenType::control ? no_token : id;
  }
};

// What a vocabulary of tokenizer.json has for its pipeline.
inline const Steps& steps_of(const Vocabulary& vocabulary) { return static_cast<const Steps&>(*vocabulary.pipeline); }

Result<Vocabulary> load_vocabulary(const files::Metadata& metadata);

struct TokenizerFiles;  // tokenizer.h
Result<Vocabulary> load_vocabulary(const TokenizerFiles& files);

// The ids of all tokens of a kind whose spelling is not empty.
template <class Accepts>
PrefixIndex index_of(const Vocabulary& vocabulary, Accepts accepts) {
  std::vector<u32> ids;
  for (u32 id = 0; id < vocabulary.spellings.count(); ++id) {
    if (!vocabulary.spellings[id].empty() && accepts(vocabulary.types[id])) ids.push_back(id);
  }
  return PrefixIndex(vocabulary.spellings, std::move(ids));
}

// Adds the tokens that are known by their spelling to end generation, and makes these and those of infilling control
// tokens.
void add_known_ends(Vocabulary& out);

std::string byte_spelling(u8 byte);  // <0x0A>

// Whether BERT puts spaces around a character.
bool is_chinese(u32 code_point);

// The character that byte-level BPE writes for a byte, as a code point below 0x180 (Radford et al. 2019: printable
// Latin-1 stands for itself, the rest follow from 0x100 on), and back: no_token for a code point that is none of them.
u32 byte_to_char(u8 byte);
u32 char_to_byte(u32 code_point);

// Appends the ids of one stretch of ordinary text.
void encode_sentencepiece(const Vocabulary& vocabulary, std::string_view text, bool space_prefix,
                          std::vector<u32>& out);
void encode_byte_bpe(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out);
void encode_word_piece(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out);
void encode_unigram(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out);

// The same for what a pipeline has made.
void encode_bpe(const Vocabulary& vocabulary, const Pieces& pieces, std::vector<u32>& out);
void encode_unigram_piece(const Vocabulary& vocabulary, std::string_view piece, std::vector<u32>& out);

// Appends the byte tokens of a character where the pipeline asks for them and all are there.
bool append_byte_tokens(const Vocabulary& vocabulary, std::string_view character, std::vector<u32>& out);

// U+2581, which stands for a space in the spellings of all kinds but byte-level BPE.
constexpr std::string_view space_mark = "\xe2\x96\x81";

// With control == false only user-defined tokens are looked for. Longer spellings go before shorter ones wherever they
// stand.
std::vector<Fragment> split_special(const Vocabulary& vocabulary, std::string_view text, bool control);

}  // namespace pronk::text
