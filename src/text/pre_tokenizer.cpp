#include "text/pre_tokenizer.h"

#include <algorithm>
#include <array>

#include "text/unicode.h"

namespace pronk::text {
namespace {

// What stands at a position; `end` has no bytes and belongs to no class.
struct Char {
  u32 bytes = 0;
  u32 code_point = ~u32{0};
  CharClass kind = CharClass::other;

  bool at_end() const { return bytes == 0; }
  bool letter() const { return kind == CharClass::letter; }
  bool number() const { return kind == CharClass::number; }
  bool space() const { return kind == CharClass::space; }
  bool line_break() const { return code_point == '\r' || code_point == '\n'; }
  bool symbol() const { return !at_end() && !letter() && !number() && !space(); }
};

constexpr auto ascii_classes = [] {
  std::array<CharClass, 128> classes{};
  for (u32 c = 0; c < 128; ++c) {
    const u32 lower = c | 0x20;
    if (lower >= 'a' && lower <= 'z') classes[c] = CharClass::letter;
    if (c >= '0' && c <= '9') classes[c] = CharClass::number;
    if (c == ' ' || (c >= 9 && c <= 13)) classes[c] = CharClass::space;
  }
  for (const char c : std::string_view("!\"#%&'()*,-./:;?@[\\]_{}")) classes[u8(c)] = CharClass::punctuation;
  return classes;
}();

// A stretch of the text; nothing outside of it is seen, so that an expression's end of text is the stretch's end.
struct Stretch {
  std::string_view text;
  u64 end;

  Char at(u64 position) const {
    if (position >= end) return {};
    const u8 byte = u8(text[position]);
    if (byte < 0x80) return {1, byte, ascii_classes[byte]};
    const DecodedChar c = decode_char(text.substr(0, end), position);
    return {c.bytes, c.code_point, class_of(c.code_point)};
  }

  template <class Accepts>
  u64 skip(u64 position, Accepts accepts) const {
    for (Char c = at(position); !c.at_end() && accepts(c); c = at(position)) position += c.bytes;
    return position;
  }
};

constexpr auto is_letter = [](Char c) { return c.letter(); };
constexpr auto is_number = [](Char c) { return c.number(); };
constexpr auto is_symbol = [](Char c) { return c.symbol(); };
constexpr auto is_line_break = [](Char c) { return c.line_break(); };

// Bytes of a contraction at `position`, where an apostrophe stands; 0 for none.
u64 contraction(const Stretch& stretch, u64 position, bool any_case) {
  const auto letter = [&](u64 offset) {
    const u64 at = position + offset;
    const char c = at < stretch.end ? stretch.text[at] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? char(c | 0x20) : c;
  };
  const char first = letter(1), second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  return first == 'l' && second == 'l' ? 3 : 0;
}

// \s+(?!\S)|\s+: all the space there is, less its last character when something follows and that leaves any.
u64 space_end(const Stretch& stretch, u64 position) {
  u64 last = position, end = position;
  for (Char c = stretch.at(end); c.space(); c = stretch.at(end)) {
    last = end;
    end += c.bytes;
  }
  return end < stretch.end && last > position ? last : end;
}

u64 gpt2_word(const Stretch& stretch, u64 position) {
  const Char c = stretch.at(position);
  if (c.code_point == '\'') {
    if (const u64 bytes = contraction(stretch, position, false)) return position + bytes;
  }
  const u64 start = c.code_point == ' ' ? position + 1 : position;
  const Char first = c.code_point == ' ' ? stretch.at(start) : c;
  if (first.letter()) return stretch.skip(start, is_letter);
  if (first.number()) return stretch.skip(start, is_number);
  if (first.symbol()) return stretch.skip(start, is_symbol);
  return space_end(stretch, position);
}

// \s*[\r\n]+: the space up to its last line break; `position` when it has none.
u64 line_break_end(const Stretch& stretch, u64 position) {
  u64 end = position;
  for (u64 at = position;;) {
    const Char c = stretch.at(at);
    if (!c.space()) return end;
    at += c.bytes;
    if (c.line_break()) end = at;
  }
}

u64 llama3_word(const Stretch& stretch, u64 position, u32 most_digits) {
  const Char c = stretch.at(position);
  if (c.code_point == '\'') {
    if (const u64 bytes = contraction(stretch, position, true)) return position + bytes;
  }
  if (c.letter()) return stretch.skip(position, is_letter);
  if (c.number()) {
    u32 digits = 0;
    return stretch.skip(position, [&](Char digit) { return digit.number() && digits++ < most_digits; });
  }
  const Char second = stretch.at(position + c.bytes);
  if (!c.line_break() && second.letter()) return stretch.skip(position + c.bytes, is_letter);
  if (c.symbol() || (c.code_point == ' ' && second.symbol())) {
    return stretch.skip(stretch.skip(position + c.bytes, is_symbol), is_line_break);
  }
  const u64 breaks = line_break_end(stretch, position);
  return breaks > position ? breaks : space_end(stretch, position);
}

void split_gpt2(const Stretch& stretch, u64 position, std::vector<u32>& ends) {
  while (position < stretch.end) {
    position = gpt2_word(stretch, position);
    ends.push_back(u32(position));
  }
}

void split_smollm(std::string_view text, std::vector<u32>& ends) {
  const Stretch all{text, text.size()};
  for (u64 position = 0; position < text.size();) {
    const Char c = all.at(position);
    if (c.number()) {
      position += c.bytes;
      ends.push_back(u32(position));
      continue;
    }
    const u64 end = all.skip(position, [](Char next) { return !next.number(); });
    split_gpt2({text, end}, position, ends);
    position = end;
  }
}

// [0-9][0-9][0-9] alone, and what lies between.
void split_triples(std::string_view text, u64 position, u64 end, std::vector<u32>& ends) {
  u64 run = 0;
  for (u64 at = position; at < end;) {
    run = text[at] >= '0' && text[at] <= '9' ? run + 1 : 0;
    ++at;
    if (run < 3) continue;
    if (at - 3 > position) ends.push_back(u32(at - 3));
    ends.push_back(u32(at));
    position = at;
    run = 0;
  }
  if (position < end) ends.push_back(u32(end));
}

bool is_fallback_punctuation(Char c) {
  if (c.kind == CharClass::punctuation) return true;
  return c.code_point < 128 && std::string_view("$+<=>^~|").find(char(c.code_point)) != std::string_view::npos;
}

void split_fallback(std::string_view text, std::vector<u32>& ends) {
  const Stretch all{text, text.size()};
  std::vector<u32> words;
  for (u64 position = 0; position < text.size();) {
    const bool punctuation = is_fallback_punctuation(all.at(position));
    const u64 end = all.skip(position, [&](Char c) { return is_fallback_punctuation(c) == punctuation; });
    words.clear();
    split_gpt2({text, end}, position, words);
    for (const u32 word_end : words) {
      const Stretch word{text, word_end};
      while (position < word_end) {
        const bool number = word.at(position).number();
        const u64 run_end = word.skip(position, [&](Char c) { return c.number() == number; });
        split_triples(text, position, run_end, ends);
        position = run_end;
      }
    }
  }
}

struct NamedKind {
  PreTokenizerKind kind;
  std::string_view names;  // separated by spaces
};
constexpr NamedKind named_kinds[] = {
    {{PreTokenizer::fallback}, "default"},
    {{PreTokenizer::gpt2}, "gpt-2 phi-2 mpt olmo jais trillion granite-docling gigachat a.x-4.0 mellum exaone4"},
    {{PreTokenizer::smollm}, "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2"},
    {{PreTokenizer::llama3, true, true}, "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2"},
    {{PreTokenizer::llama3}, "dbrx smaug-bpe chatglm-bpe glm4"},
    {{PreTokenizer::qwen2}, "qwen2 stablelm2 deepseek-r1-qwen kormo f2llmv2 megrez hunyuan solar-open grok-2"},
};

}  // namespace

std::optional<PreTokenizerKind> pre_tokenizer_by_name(std::string_view name) {
  for (const NamedKind& entry : named_kinds) {
    for (std::string_view names = entry.names; !names.empty();) {
      const std::string_view first = names.substr(0, names.find(' '));
      if (first == name) return entry.kind;
      names.remove_prefix(std::min(names.size(), first.size() + 1));
    }
  }
  return std::nullopt;
}

void split_words(PreTokenizer splitter, std::string_view text, std::vector<u32>& ends) {
  const Stretch all{text, text.size()};
  switch (splitter) {
    case PreTokenizer::gpt2:
      return split_gpt2(all, 0, ends);
    case PreTokenizer::smollm:
      return split_smollm(text, ends);
    case PreTokenizer::fallback:
      return split_fallback(text, ends);
    case PreTokenizer::llama3:
    case PreTokenizer::qwen2:
      break;
  }
  const u32 most_digits = splitter == PreTokenizer::llama3 ? 3 : 1;
  for (u64 position = 0; position < text.size();) {
    position = llama3_word(all, position, most_digits);
    ends.push_back(u32(position));
  }
}

}  // namespace pronk::text
