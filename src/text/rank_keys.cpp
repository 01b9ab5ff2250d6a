#include "text/rank_keys.h"

#include <array>
#include <charconv>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/quote.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace pronk::text {

namespace {

constexpr u32 special_count = 256, most_tokens = 1 << 22, most_token_bytes = 1024;
constexpr u32 begin_of_text = 0, end_of_text = 1, start_header = 6, end_header = 7, end_of_turn = 9;

// What AQLM.rs puts around messages, contents trimmed.
constexpr std::string_view chat_template =
    "{{ bos_token }}"
    "{% for message in messages %}"
    "<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n{{ message.content | trim }}<|eot_id|>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

class Ranks {
 public:
  Status read(std::string_view text);
  std::span<const std::string> tokens() const { return tokens_; }
  // Ends of the first of the two parts that are merged last; 0: nothing makes the token but itself.
  u64 last_cut(std::string_view token) const;

 private:
  Status add(std::string_view line);
  u32 rank(std::string_view bytes) const {
    const auto found = ranks_.find(bytes);
    return found == ranks_.end() ? no_token : found->second;
  }

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view bytes) const { return std::hash<std::string_view>()(bytes); }
  };
  std::vector<std::string> tokens_;  // by rank
  std::unordered_map<std::string, u32, Hash, std::equal_to<>> ranks_;
};

u32 base64_value(char c) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return u32(digits.find(c));  // npos: above 63
}

// False: it is no base64 of whole groups of four.
bool decode_base64(std::string_view text, std::string& out) {
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (text.empty() || text.size() % 4 != 0) return false;
  text.remove_suffix(padding);
  u32 bits = 0, count = 0;
  for (const char c : text) {
    const u32 value = base64_value(c);
    if (value > 63) return false;
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) out.push_back(char(bits >> (count -= 8)));
  }
  return (bits & ((1u << count) - 1)) == 0;
}

Status Ranks::read(std::string_view text) {
  for (u32 number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (Status status = add(line); !status)
      return fail(ErrorCode::bad_model, "tokenizer.model: line " + std::to_string(number) + status.error().message);
  }
  for (u32 byte = 0; byte < 256; ++byte) {
    if (rank(std::string(1, char(byte))) == no_token)
      return fail(ErrorCode::bad_model, "tokenizer.model: no token is the byte " + std::to_string(byte));
  }
  return {};
}

Status Ranks::add(std::string_view line) {
  const auto space = std::min(line.find(' '), line.size());
  std::string bytes;
  if (!decode_base64(line.substr(0, space), bytes)) return fail(" is no base64 and a rank");
  if (bytes.size() > most_token_bytes) return fail(" has a token of " + std::to_string(bytes.size()) + " bytes");
  const std::string_view digits = line.substr(std::min(space + 1, line.size()));
  u32 rank = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  if (error != std::errc() || end != digits.data() + digits.size()) return fail(" is no base64 and a rank");
  if (rank != tokens_.size() || rank >= most_tokens)
    return fail(" has rank " + std::to_string(rank) + ", not " + std::to_string(tokens_.size()));
  if (!ranks_.try_emplace(bytes, rank).second) return fail(" has the token of another");
  tokens_.push_back(std::move(bytes));
  return {};
}

u64 Ranks::last_cut(std::string_view token) const {
  std::vector<u32> starts;  // of parts, and the end
  for (u32 i = 0; i <= token.size(); ++i) starts.push_back(i);
  while (starts.size() > 3) {
    u32 best = no_token, at = 0;
    for (u32 i = 0; i + 2 < starts.size(); ++i) {
      const u32 joined = rank(token.substr(starts[i], starts[i + 2] - starts[i]));
      if (joined < best) best = joined, at = i;
    }
    if (best == no_token) return 0;
    starts.erase(starts.begin() + at + 1);
  }
  return starts.size() == 3 ? starts[1] : 0;
}

std::string spelled(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) append_utf8(byte_to_char(u8(byte)), out);
  return out;
}

std::string special_name(u32 index) {
  switch (index) {
    case begin_of_text:
      return "<|begin_of_text|>";
    case end_of_text:
      return "<|end_of_text|>";
    case start_header:
      return "<|start_header_id|>";
    case end_header:
      return "<|end_header_id|>";
    case end_of_turn:
      return "<|eot_id|>";
    default: {
      const u32 named = index < start_header ? 2 : index < end_of_turn ? 4 : 5;  // before it
      return "<|reserved_special_token_" + std::to_string(index - named) + "|>";
    }
  }
}

}  // namespace

Status write_rank_keys(std::string_view text, files::GgufWriter& out) {
  Ranks ranks;
  PRONK_OK(ranks.read(text));
  std::vector<std::string> tokens, merges;
  for (const std::string& token : ranks.tokens()) {
    tokens.push_back(spelled(token));
    const std::string_view bytes = token;
    if (const u64 cut = ranks.last_cut(bytes); cut > 0)
      merges.push_back(spelled(bytes.substr(0, cut)) + " " + spelled(bytes.substr(cut)));
  }
  const u32 first = u32(tokens.size());
  std::vector<i32> types(first, i32(TokenType::normal));
  for (u32 i = 0; i < special_count; ++i) tokens.push_back(special_name(i));
  types.resize(tokens.size(), i32(TokenType::control));
  out.add_string("tokenizer.ggml.model", "gpt2");
  out.add_string("tokenizer.ggml.pre", "llama-bpe");
  out.add_strings("tokenizer.ggml.tokens", tokens);
  out.add_i32s("tokenizer.ggml.token_type", types);
  out.add_strings("tokenizer.ggml.merges", merges);
  out.add_u32("tokenizer.ggml.bos_token_id", first + begin_of_text);
  out.add_u32("tokenizer.ggml.eos_token_id", first + end_of_text);
  out.add_u32("tokenizer.ggml.eot_token_id", first + end_of_turn);
  out.add_string("tokenizer.chat_template", chat_template);
  return {};
}

}  // namespace pronk::text
