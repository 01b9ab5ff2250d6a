// Text to token ids and back, from the tokenizer metadata of a GGUF file or from a Hugging Face model's tokenizer.json.
// The latter's ids and texts are those of the library tokenizers; steps that are not supported are errors.
//
// GGUF has five kinds (`tokenizer.ggml.model`):
// - `llama`: SentencePiece BPE. U+2581 stands for a space; of all neighbouring pairs that spell a token the one with
//   the highest score is merged first, the leftmost among equals; what stays outside the vocabulary becomes byte
//   tokens <0xXX>.
// - `gpt2`: byte-level BPE (Radford et al. 2019). A pre-tokenizer (`tokenizer.ggml.pre`) cuts the text into words,
//   each word's bytes are merged by rank; bytes without a token are dropped.
// - `gemma4`: BPE over characters, with U+2581 for a space; lines apart, and byte tokens for what has no token.
// - `bert`: WordPiece, see word_piece.cpp. `t5`: Unigram, see unigram.cpp.
// On well-formed UTF-8 the ids are those of llama.cpp, but for where it only comes near the published tokenizer: case
// and marks in gpt-4o, tekken and kimi-k2, groups of digits in afmoe, U+3000 in deepseek-llm, Hangul and spacing marks
// in WordPiece and its limit of 100 characters a word. There they are the published ones. Sources: the GGUF
// specification, the SentencePiece paper (arXiv 1808.06226), the models' published regular expressions.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace pronk::files {
class Metadata;
}

namespace pronk::text {

struct Vocabulary;  // src/text/vocabulary.h

// The texts of a Hugging Face model's files. All but the first may be missing: empty.
struct TokenizerFiles {
  std::string tokenizer;           // tokenizer.json
  std::string config;              // tokenizer_config.json
  std::string special_tokens_map;  // special_tokens_map.json
  std::string generation_config;   // generation_config.json
  std::string chat_template;       // chat_template.jinja
  std::string ranks;               // tokenizer.model of tiktoken's (rank_keys.h), in place of tokenizer.json
};

// Immutable after load; every const function may be called from several threads. Move only.
class Tokenizer {
 public:
  // Copies what it needs: the metadata may go away. Errors name the key that is missing, wrong or not supported.
  static Result<Tokenizer> from_metadata(const files::Metadata& metadata);

  // Of a model that comes without one: no token has a spelling, and to encode is an error.
  static Tokenizer none();

  // Errors name the file and what in it is wrong or not supported. Texts are normalized, cut, encoded and decoded as
  // the file says; where that makes a text more than 64 times as long, `encode` fails.
  static Result<Tokenizer> from_json(const TokenizerFiles& files);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  u32 vocab_size() const;
  std::optional<u32> bos() const;
  std::optional<u32> eos() const;
  bool adds_bos() const;  // what Bos::automatic does
  bool adds_eos() const;

  enum class Bos { automatic, on, off };
  struct Encode {
    bool parse_special = false;  // control tokens spelled in the text become their ids, else they are ordinary text
    // automatic: bos and eos where the file's flags ask for them. on: bos in any case, eos by its flag. off: neither.
    Bos bos = Bos::automatic;
  };

  // The ids of a text. Bytes that are not UTF-8 never fail: `llama` spells them by byte tokens, `gpt2` merges the bytes
  // as they are. Fails when bos is asked for and the file names none.
  Result<std::vector<u32>> encode(std::string_view utf8, Encode options) const;
  Result<std::vector<u32>> encode(std::string_view utf8) const { return encode(utf8, Encode{}); }

  // Appends the bytes of one token, which may be part of a character. Control tokens have bytes only when
  // `render_special`; an id outside the vocabulary has none.
  // With `first` it is what a text begins with, where that makes a difference.
  void append_piece(u32 id, std::string& out, bool render_special, bool first = false) const;

  // The bytes of all tokens. For `llama` with a space prefix, one leading space is removed from the first text token.
  std::string decode(std::span<const u32> ids, bool render_special = false) const;

  // End of generation: eos, eot, eom and the spellings known to end a turn. Sorted, each once.
  bool is_end(u32 id) const;
  std::span<const u32> end_tokens() const;

  bool is_control(u32 id) const;
  bool strips_leading_space() const;  // whether decode() removes the space that encode() put in front
  std::optional<u32> find(std::string_view spelling) const;  // the token written exactly so in the file
  std::string_view spelling(u32 id) const;                   // as the file writes it; empty for an id out of range
  std::string_view chat_template() const;                    // empty when the file has none
  u64 memory_bytes() const;                                  // heap bytes held

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::unique_ptr<const Vocabulary> vocabulary);
  std::unique_ptr<const Vocabulary> vocabulary_;
};

// Turns tokens into text as they come and never emits part of a UTF-8 character: unfinished bytes wait for the next
// token. Bytes that can never become a character come out as U+FFFD, one for each maximal part (Unicode 3.9), so the
// joined output is always valid UTF-8.
class StreamDecoder {
 public:
  // The tokenizer must outlive it. `first` says that the text begins here (a leading space prefix is then removed);
  // for the continuation of a prompt pass false.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool render_special = false, bool first = false);

  std::string push(u32 id);
  std::string finish();  // what is left, an unfinished character as U+FFFD; the decoder can be used again

 private:
  void flush_bytes();

  const Tokenizer& tokenizer_;
  bool render_special_;
  bool strip_space_;
  bool first_;           // no token has come yet
  std::string bytes_{};  // of byte tokens in a row, which are a text or nothing: see Decoder::joins_bytes
  std::string pending_{};
};

}  // namespace pronk::text
