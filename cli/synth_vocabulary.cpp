#include "synth_vocabulary.h"

#include <string>
#include <vector>

#include "base/check.h"

namespace pronk::cli {

namespace {

constexpr i32 type_normal = 1, type_control = 3;  // tokenizer.ggml.token_type

constexpr std::string_view chat_template =
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

std::string utf8(u32 code_point) {
  CHECK(code_point < 0x800);
  if (code_point < 0x80) return std::string(1, char(code_point));
  return {char(0xc0 | code_point >> 6), char(0x80 | (code_point & 63))};
}

// The character that stands for a byte in a GPT-2 vocabulary: itself where it prints, else one from U+0100 on.
std::string byte_character(u32 byte) {
  auto prints = [](u32 b) { return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae; };
  if (prints(byte)) return utf8(byte);
  u32 before = 0;
  for (u32 b = 0; b < byte; ++b) before += prints(b) ? 0 : 1;
  return utf8(0x100 + before);
}

struct Tokens {
  std::vector<std::string> texts;
  std::vector<i32> types;
  std::vector<std::string> merges;

  void add(std::string text, i32 type) {
    texts.push_back(std::move(text));
    types.push_back(type);
  }
  void merge(const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    add(left + right, type_normal);
  }
};

void add_specials(Tokens& tokens, const VocabularyShape& shape) {
  u32 count = 0;
  for (std::string_view text : shape.specials) {
    if (text.empty()) break;
    tokens.add(std::string(text), type_control);
    ++count;
  }
  for (u32 i = 0; count < shape.special_count; ++i, ++count) {
    tokens.add("<|reserved_special_token_" + std::to_string(i) + "|>", type_control);
  }
}

// `count` merges: all pairs of two letters (the first may be a space), then pairs of those pairs. Texts of pairs have
// two characters and those of pairs of pairs four, so no token comes twice.
void add_merges(Tokens& tokens, u32 count) {
  const std::string space = byte_character(' ');
  std::vector<std::string> pairs;
  for (u32 first = 0; first < 27; ++first) {
    for (char second = 'a'; second <= 'z'; ++second) {
      if (pairs.size() == count) return;
      const std::string left = first == 0 ? space : std::string(1, char('a' + first - 1));
      tokens.merge(left, std::string(1, second));
      pairs.push_back(left + second);
    }
  }
  count -= u32(pairs.size());
  CHECK(count <= pairs.size() * 26 * 26);
  for (u32 i = 0; i < count; ++i) {  // right-hand pairs have no space inside: they start behind the first 26
    tokens.merge(pairs[i % pairs.size()], pairs[26 + (i / pairs.size() + i) % (26 * 26)]);
  }
}

}  // namespace

void add_vocabulary(files::GgufWriter& writer, const VocabularyShape& shape) {
  Tokens tokens;
  if (shape.special_first) add_specials(tokens, shape);
  for (u32 byte = 0; byte < 256; ++byte) tokens.add(byte_character(byte), type_normal);
  add_merges(tokens, shape.size - shape.special_count - 256);
  const u32 first_special = shape.special_first ? 0 : u32(tokens.texts.size());
  if (!shape.special_first) add_specials(tokens, shape);
  CHECK(tokens.texts.size() == shape.size);

  writer.add_string("tokenizer.ggml.model", "gpt2");
  writer.add_string("tokenizer.ggml.pre", shape.pre);
  writer.add_strings("tokenizer.ggml.tokens", tokens.texts);
  writer.add_i32s("tokenizer.ggml.token_type", tokens.types);
  writer.add_strings("tokenizer.ggml.merges", tokens.merges);
  writer.add_u32("tokenizer.ggml.bos_token_id", first_special + shape.bos);
  writer.add_u32("tokenizer.ggml.eos_token_id", first_special + shape.eos);
  writer.add_bool("tokenizer.ggml.add_bos_token", shape.add_bos);
  writer.add_string("tokenizer.chat_template", chat_template);
}

}  // namespace pronk::cli
