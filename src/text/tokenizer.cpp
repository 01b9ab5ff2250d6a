#include "text/tokenizer.h"

#include <algorithm>

#include "text/host.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

constexpr u64 longest_text = u64{1} << 30;  // bytes; places in a text fit 32 bits when each space takes three

std::optional<u32> id_or_none(u32 id) { return id == no_token ? std::nullopt : std::optional(id); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = char(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// The byte that "<0xE2>" stands for; what is not of that form has none.
std::optional<u8> byte_of(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>') return std::nullopt;
  const int high = hex_digit(spelling[3]), low = hex_digit(spelling[4]);
  return high < 0 || low < 0 ? std::nullopt : std::optional(u8(high << 4 | low));
}

void append_marked(std::string_view spelling, std::string& out) {
  while (!spelling.empty()) {
    const u64 at = std::min(spelling.find(space_mark), spelling.size());
    out += spelling.substr(0, at);
    if (at == spelling.size()) return;
    out += ' ';
    spelling.remove_prefix(at + space_mark.size());
  }
}

// Characters that stand for no byte are kept as they are: some files have plain text in tokens of type normal.
void append_byte_bpe(std::string_view spelling, std::string& out) {
  for (u64 at = 0; at < spelling.size();) {
    const DecodedChar c = decode_char(spelling, at);
    if (const u32 byte = char_to_byte(c.code_point); byte != no_token) {
      out += char(byte);
    } else {
      out += spelling.substr(at, c.bytes);
    }
    at += c.bytes;
  }
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const Vocabulary> vocabulary) : vocabulary_(std::move(vocabulary)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::from_metadata(const files::Metadata& metadata) {
  PRONK_TRY(const std::string_view model, metadata.string_at("tokenizer.ggml.model"));
  if (model == "none" || model == "no_vocab") return none();
  PRONK_TRY(Vocabulary vocabulary, load_vocabulary(metadata));
  return Tokenizer(std::make_unique<const Vocabulary>(std::move(vocabulary)));
}

Result<Tokenizer> Tokenizer::from_json(const TokenizerFiles& files) {
  PRONK_TRY(Vocabulary vocabulary, load_vocabulary(files));
  return Tokenizer(std::make_unique<const Vocabulary>(std::move(vocabulary)));
}

Tokenizer Tokenizer::none() { return Tokenizer(std::make_unique<const Vocabulary>()); }

u32 Tokenizer::vocab_size() const { return vocabulary_->spellings.count(); }
std::optional<u32> Tokenizer::bos() const { return id_or_none(vocabulary_->bos); }
std::optional<u32> Tokenizer::eos() const { return id_or_none(vocabulary_->eos); }
bool Tokenizer::adds_bos() const { return vocabulary_->add_bos; }
bool Tokenizer::adds_eos() const { return vocabulary_->add_eos; }
bool Tokenizer::strips_leading_space() const { return vocabulary_->strips_leading_space; }
std::span<const u32> Tokenizer::end_tokens() const { return vocabulary_->ends; }
std::string_view Tokenizer::chat_template() const { return vocabulary_->chat_template; }

bool Tokenizer::is_end(u32 id) const {
  return std::binary_search(vocabulary_->ends.begin(), vocabulary_->ends.end(), id);
}

bool Tokenizer::is_control(u32 id) const { return id < vocab_size() && vocabulary_->types[id] == TokenType::control; }

std::optional<u32> Tokenizer::find(std::string_view spelling) const {
  return id_or_none(vocabulary_->spellings.find(spelling));
}

std::string_view Tokenizer::spelling(u32 id) const {
  return id < vocab_size() ? vocabulary_->spellings[id] : std::string_view{};
}

u64 Tokenizer::memory_bytes() const {
  const Vocabulary& v = *vocabulary_;
  const u64 words = v.score_keys.capacity() + 2 * v.scores.capacity() + v.ends.capacity();
  return sizeof v + v.spellings.memory_bytes() + v.merges.memory_bytes() + v.types.capacity() + words * sizeof(u32) +
         v.special.memory_bytes() + v.pieces.memory_bytes() + v.charsmap.memory_bytes() + v.chat_template.capacity();
}

Result<std::vector<u32>> Tokenizer::encode(std::string_view utf8, Encode options) const {
  const Vocabulary& v = *vocabulary_;
  if (vocab_size() == 0) return fail("the model has no tokenizer");
  if (utf8.size() > longest_text) return fail("the text has more than 1 GiB");
  const bool bos = options.bos == Bos::on || (options.bos == Bos::automatic && v.add_bos);
  if (bos && v.bos == no_token) return fail("a bos token is asked for, but tokenizer.ggml.bos_token_id is not there");
  std::vector<u32> out;
  if (bos) v.prefix.empty() ? out.push_back(v.bos) : void(out = v.prefix);
  if (v.pipeline) {
    PRONK_OK(v.pipeline->encode(v, utf8, options.parse_special, out));
    if (options.bos != Bos::off) out.insert(out.end(), v.suffix.begin(), v.suffix.end());
    return out;
  }
  bool space_prefix = v.add_space_prefix;
  for (const Fragment& fragment : split_special(v, utf8, options.parse_special)) {
    if (fragment.token != no_token) {
      out.push_back(fragment.token);
      space_prefix = v.add_space_prefix;  // each text after a special token begins anew
      continue;
    }
    std::string composed;
    std::string_view text = utf8.substr(fragment.start, fragment.end - fragment.start);
    if (v.composes) {
      append_composed(text, composed);
      text = composed;
    }
    switch (v.kind) {
      case Kind::sentencepiece:
        encode_sentencepiece(v, text, space_prefix, out);
        break;
      case Kind::byte_bpe:
        encode_byte_bpe(v, text, out);
        break;
      case Kind::word_piece:
        encode_word_piece(v, text, out);
        break;
      case Kind::unigram:
        encode_unigram(v, text, out);
        break;
    }
    space_prefix = false;
  }
  if (options.bos != Bos::off) out.insert(out.end(), v.suffix.begin(), v.suffix.end());
  return out;
}

void Tokenizer::append_piece(u32 id, std::string& out, bool render_special, bool first) const {
  const Vocabulary& v = *vocabulary_;
  if (id >= vocab_size()) return;
  const std::string_view spelling = v.spellings[id];
  if (v.pipeline) {
    if (v.types[id] == TokenType::control && !render_special) return;
    const auto byte = v.pipeline->joins_bytes ? byte_of(spelling) : std::nullopt;
    byte ? out += char(*byte) : (v.pipeline->decode(v, id, first, out), out);
    return;
  }
  switch (v.types[id]) {
    case TokenType::control:
    case TokenType::unknown:
      if (render_special) out += spelling;
      return;
    case TokenType::user_defined:  // Gemma's runs of spaces are written as pieces are
      v.kind == Kind::sentencepiece ? append_marked(spelling, out) : (void)(out += spelling);
      return;
    case TokenType::unused:
      return;
    case TokenType::byte:
      if (const auto byte = byte_of(spelling)) {
        out += char(*byte);
        return;
      }
      break;
    case TokenType::normal:
    case TokenType::undefined:
      break;
  }
  const bool by_bytes = v.kind == Kind::byte_bpe && !v.pre.over_characters();
  by_bytes ? append_byte_bpe(spelling, out) : append_marked(spelling, out);
}

std::string Tokenizer::decode(std::span<const u32> ids, bool render_special) const {
  std::string out;
  if (vocabulary_->pipeline) {
    StreamDecoder decoder(*this, render_special, true);
    for (const u32 id : ids) out += decoder.push(id);
    return out + decoder.finish();
  }
  bool strip = vocabulary_->strips_leading_space;
  for (const u32 id : ids) {
    const u64 before = out.size();
    append_piece(id, out, render_special);
    if (!strip || is_control(id) || out.size() == before) continue;
    if (out[before] == ' ') out.erase(before, 1);
    strip = false;
  }
  return out;
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool render_special, bool first)
    : tokenizer_(tokenizer),
      render_special_(render_special),
      strip_space_(first && tokenizer.strips_leading_space()),
      first_(first) {}

std::string StreamDecoder::push(u32 id) {
  const Vocabulary& v = *tokenizer_.vocabulary_;
  if (v.pipeline) {
    if (id >= v.types.size() || (v.types[id] == TokenType::control && !render_special_)) return {};
    if (v.pipeline->joins_bytes && byte_of(v.spellings[id])) {
      bytes_ += char(*byte_of(v.spellings[id]));
      first_ = false;
      return {};
    }
    flush_bytes();
  }
  const u64 before = pending_.size();
  tokenizer_.append_piece(id, pending_, render_special_, first_);
  first_ = false;
  if (strip_space_ && (v.pipeline || !tokenizer_.is_control(id)) && pending_.size() > before) {
    if (pending_[before] == ' ') pending_.erase(before, 1);
    strip_space_ = false;
  }
  std::string out;
  take_utf8(pending_, false, out);
  return out;
}

void StreamDecoder::flush_bytes() {
  if (bytes_.empty()) return;
  std::string text, copy = bytes_;
  take_utf8(copy, true, text);
  if (text != bytes_) {  // one for each byte, however many belong together
    text.clear();
    for (u64 i = 0; i < bytes_.size(); ++i) append_utf8(0xfffd, text);
  }
  bytes_.clear();
  if (strip_space_ && text[0] == ' ') text.erase(0, 1);
  strip_space_ = false;
  pending_ += text;
}

std::string StreamDecoder::finish() {
  flush_bytes();
  std::string out;
  take_utf8(pending_, true, out);
  return out;
}

}  // namespace pronk::text
