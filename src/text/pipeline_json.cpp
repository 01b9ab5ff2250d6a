#include "text/pipeline_json.h"

#include "base/quote.h"

namespace pronk::text {
namespace {

using files::JsonKind;
using files::JsonValue;

constexpr u64 most_steps = 256;         // of a sequence with all that is within it
constexpr u64 longest_insertion = 255;  // bytes
constexpr u64 longest_literal = 64;     // characters of a pattern that is a text
constexpr std::string_view punctuation = R"([\p{P}$+<=>^`|~])";

Status add(Step step, std::vector<Step>& out) {
  if (out.size() >= most_steps) return fail("more than " + std::to_string(most_steps) + " steps");
  out.push_back(std::move(step));
  return {};
}

Status add_action(Action action, std::vector<Step>& out) { return add(Step{action}, out); }

Status add_text(Action action, std::string_view text, std::vector<Step>& out) {
  if (text.size() > longest_insertion) return fail("a text of " + std::to_string(text.size()) + " bytes to insert");
  return add(Step{action, {}, std::string(text)}, out);
}

Status add_replace(Splitter pattern, std::string_view by, std::vector<Step>& out) {
  if (by.size() > longest_insertion) return fail("a text of " + std::to_string(by.size()) + " bytes to insert");
  return add(Step{Action::replace, {std::move(pattern)}, std::string(by)}, out);
}

Status add_replace(std::string_view regex, std::string_view by, std::vector<Step>& out) {
  PRONK_TRY(Splitter pattern, Splitter::parse(regex));
  return add_replace(std::move(pattern), by, out);
}

Status add_split(Splitter pattern, SplitBehavior behavior, bool inverted, std::vector<Step>& out) {
  return add(Step{Action::split, {std::move(pattern)}, {}, behavior, inverted}, out);
}

Status add_split(std::string_view regex, SplitBehavior behavior, bool inverted, std::vector<Step>& out) {
  PRONK_TRY(Splitter pattern, Splitter::parse(regex));
  return add_split(std::move(pattern), behavior, inverted, out);
}

Result<Splitter> literal(std::string_view text) {
  u64 characters = 0;
  for (const char c : text) characters += (u8(c) & 0xc0) != 0x80;
  if (characters == 0 || characters > longest_literal) {
    return fail(ErrorCode::unsupported, "a pattern of " + std::to_string(characters) + " characters");
  }
  return Splitter::of_text(text);
}

// {"String": …} or {"Regex": …}
Result<Splitter> read_pattern(JsonValue step) {
  PRONK_TRY(const JsonValue pattern, step.object_at("pattern"));
  if (pattern["Regex"].present()) {
    PRONK_TRY(const std::string_view regex, pattern.string_at("Regex"));
    return Splitter::parse(regex);
  }
  PRONK_TRY(const std::string_view text, pattern.string_at("String"));
  return literal(text);
}

Result<SplitBehavior> read_behavior(JsonValue step) {
  constexpr std::string_view names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
  PRONK_TRY(const std::string_view name, step.string_or("behavior", "Isolated"));
  for (u32 i = 0; i < std::size(names); ++i) {
    if (names[i] == name) return SplitBehavior(i);
  }
  return unsupported("the behavior", name);
}

Result<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve(text.size() / 4 * 3);
  while (text.ends_with('=')) text.remove_suffix(1);
  u32 bits = 0, held = 0;
  for (const char c : text) {
    const u64 digit = digits.find(c);
    if (digit == std::string_view::npos) return fail("precompiled_charsmap is not Base64");
    bits = bits << 6 | u32(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += char(bits >> held);
  }
  return out;
}

Status add_charsmap(JsonValue step, std::vector<Step>& out) {
  PRONK_TRY(const std::string_view text, step.string_at("precompiled_charsmap"));
  PRONK_TRY(const std::string bytes, decode_base64(text));
  Step added{Action::map_chars};
  PRONK_OK(added.charsmap.load(bytes, "precompiled_charsmap"));
  return add(std::move(added), out);
}

// What SentencePiece's models for translation clean out of a text.
Status add_nmt(std::vector<Step>& out) {
  PRONK_OK(add_replace(R"([\x01-\x08\x0b\x0e-\x1f\x7f\x{8f}\x{9f}])", "", out));
  return add_replace(R"([\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd])", " ", out);
}

Status add_bert(JsonValue step, std::vector<Step>& out) {
  PRONK_TRY(const bool cleans, step.boolean_or("clean_text", true));
  PRONK_TRY(const bool chinese, step.boolean_or("handle_chinese_chars", true));
  PRONK_TRY(const bool lower, step.boolean_or("lowercase", true));
  PRONK_TRY(const bool accents, step.boolean_or("strip_accents", lower));
  if (cleans) {
    PRONK_OK(add_replace(R"([\x00\x0b\x0c\x{85}\ufffd\p{C}])", "", out));
    PRONK_OK(add_replace(R"([\t\n\r\s])", " ", out));
  }
  if (chinese) PRONK_OK(add_action(Action::surround_chinese, out));
  if (accents) PRONK_OK(add_action(Action::remove_accents, out));
  return lower ? add_action(Action::lower_case, out) : Status{};
}

Status add_strip(JsonValue step, std::vector<Step>& out) {
  PRONK_TRY(const bool left, step.boolean_or("strip_left", true));
  PRONK_TRY(const bool right, step.boolean_or("strip_right", true));
  if (left) PRONK_OK(add_action(Action::strip_left, out));
  return right ? add_action(Action::strip_right, out) : Status{};
}

Status add_byte_level(JsonValue step, std::vector<Step>& out) {
  PRONK_TRY(const bool prefix, step.boolean_or("add_prefix_space", true));
  PRONK_TRY(const bool by_regex, step.boolean_or("use_regex", true));
  if (prefix) PRONK_OK(add_text(Action::prepend_if, " ", out));
  if (by_regex) PRONK_OK(add_split(gpt2_pattern, SplitBehavior::isolated, false, out));
  return add_action(Action::spell_bytes, out);
}

Result<std::string_view> read_prepend_scheme(JsonValue step) {
  PRONK_TRY(const bool prefix, step.boolean_or("add_prefix_space", true));  // of old files
  return step.string_or("prepend_scheme", prefix ? "always" : "never");
}

Status add_metaspace(JsonValue step, std::vector<Step>& out) {
  PRONK_TRY(const std::string_view mark, step.string_or("replacement", "\xe2\x96\x81"));
  PRONK_TRY(const std::string_view scheme, read_prepend_scheme(step));
  PRONK_TRY(const bool splits, step.boolean_or("split", true));
  if (scheme != "always" && scheme != "first" && scheme != "never") return unsupported("the prepend_scheme", scheme);
  PRONK_OK(add_replace(Splitter::of_text(" "), mark, out));
  if (scheme != "never") {
    PRONK_OK(add_text(scheme == "first" ? Action::prepend_if_start : Action::prepend_if, mark, out));
  }
  if (!splits) return {};
  PRONK_TRY(Splitter pattern, literal(mark));
  return add_split(std::move(pattern), SplitBehavior::merged_with_next, false, out);
}

// The steps of a sequence, each read by `read`.
template <class Read>
Status read_each(JsonValue step, std::string_view key, Read read) {
  PRONK_TRY(const JsonValue list, step.array_at(key));
  for (const JsonValue each : list) PRONK_OK(read(each));
  return {};
}

Result<std::string_view> type_of(JsonValue step) {
  PRONK_TRY(const JsonValue object, step.object());
  return object.string_at("type");
}

Status read_decoder_step(JsonValue step, Decoder& out) {
  PRONK_TRY(const std::string_view type, type_of(step));
  if (type == "Fuse") return {};
  if (type == "Sequence")
    return read_each(step, "decoders", [&](JsonValue each) { return read_decoder_step(each, out); });
  if (type == "ByteLevel") {
    out.from_byte_chars = true;
    return {};
  }
  if (type == "ByteFallback") {
    out.joins_bytes = true;
    return {};
  }
  if (type == "Strip") {
    PRONK_TRY(const std::string_view content, step.string_at("content"));
    PRONK_TRY(const u64 start, step.integer_at("start"));
    PRONK_TRY(const u64 stop, step.integer_at("stop"));
    if (content != " " || start > 1 || stop > 0) return unsupported("the decoder", "Strip, but of one leading space,");
    out.strips_leading_space = start == 1;
    return {};
  }
  if (type == "WordPiece") {
    out.joins_words = true;
    PRONK_TRY(out.continuing, step.string_or("prefix", "##"));
    PRONK_TRY(out.cleans_up, step.boolean_or("cleanup", true));
    return {};
  }
  if (type == "Metaspace") {
    PRONK_TRY(const std::string_view mark, step.string_or("replacement", "\xe2\x96\x81"));
    PRONK_TRY(const std::string_view scheme, read_prepend_scheme(step));
    if (mark.empty()) return step.error("an empty replacement");
    out.replacements.push_back({std::string(mark), " ", scheme == "never" ? " " : ""});
    return {};
  }
  if (type == "Replace") {
    PRONK_TRY(const JsonValue pattern, step.object_at("pattern"));
    PRONK_TRY(const std::string_view from, pattern.string_at("String"));
    PRONK_TRY(const std::string_view to, step.string_at("content"));
    if (from.empty() || to.size() > longest_insertion) return step.error("what is replaced is empty, or by too much");
    out.replacements.push_back({std::string(from), std::string(to), std::string(to)});
    return out.replacements.size() > 16 ? fail("more than 16 replacements") : Status{};
  }
  return unsupported("the decoder", type);
}

// Before and after the text: the parts of a template, each a token or the text.
Status read_template(JsonValue processor, Ends& out) {
  PRONK_TRY(const JsonValue parts, processor.array_at("single"));
  bool after = false;
  for (const JsonValue part : parts) {
    if (part["Sequence"].present()) {
      after = true;
      continue;
    }
    PRONK_TRY(const JsonValue special, part.object_at("SpecialToken"));
    PRONK_TRY(const std::string_view name, special.string_at("id"));
    PRONK_TRY(const JsonValue tokens, processor.object_at("special_tokens"));
    PRONK_TRY(const JsonValue token, tokens.object_at(name));
    PRONK_TRY(const JsonValue ids, token.array_at("ids"));
    for (const JsonValue each : ids) {
      PRONK_TRY(const u64 id, each.integer());
      (after ? out.suffix : out.prefix).push_back(id);
    }
  }
  return after ? Status{} : processor.error("a template without the text");
}

// ["[SEP]", 102]
Result<u64> read_pair_id(JsonValue processor, std::string_view key) {
  PRONK_TRY(const JsonValue pair, processor.array_at(key));
  if (pair.count() != 2) return pair.error("a token and its id are wanted");
  return (*++pair.begin()).integer();
}

Status read_processor(JsonValue value, Ends& out) {
  PRONK_TRY(const std::string_view type, type_of(value));
  if (type == "ByteLevel") return {};  // concerns offsets only
  if (type == "Sequence")
    return read_each(value, "processors", [&](JsonValue each) { return read_processor(each, out); });
  if (type == "TemplateProcessing") return read_template(value, out);
  if (type != "BertProcessing" && type != "RobertaProcessing") return unsupported("the post_processor", type);
  PRONK_TRY(const u64 first, read_pair_id(value, "cls"));
  PRONK_TRY(const u64 last, read_pair_id(value, "sep"));
  out.prefix.push_back(first);
  out.suffix.push_back(last);
  return {};
}

}  // namespace

std::unexpected<Error> unsupported(std::string_view what, std::string_view name) {
  return fail(ErrorCode::unsupported, std::string(what) + " " + quoted(name) + " is not supported");
}

Status read_normalizer(JsonValue value, std::vector<Step>& out) {
  if (!value.has_value()) return {};
  constexpr std::pair<std::string_view, Action> plain[] = {
      {"NFC", Action::nfc},
      {"NFD", Action::nfd},
      {"NFKC", Action::nfkc},
      {"NFKD", Action::nfkd},
      {"Lowercase", Action::lower_case},
      {"ByteLevel", Action::spell_bytes},
  };
  PRONK_TRY(const std::string_view type, type_of(value));
  for (const auto& [name, action] : plain) {
    if (name == type) return add_action(action, out);
  }
  if (type == "Sequence") {
    return read_each(value, "normalizers", [&](JsonValue each) { return read_normalizer(each, out); });
  }
  if (type == "Prepend") {
    PRONK_TRY(const std::string_view text, value.string_at("prepend"));
    return add_text(Action::prepend, text, out);
  }
  if (type == "Replace") {
    PRONK_TRY(Splitter pattern, read_pattern(value));
    PRONK_TRY(const std::string_view by, value.string_at("content"));
    return add_replace(std::move(pattern), by, out);
  }
  if (type == "Strip") return add_strip(value, out);
  if (type == "StripAccents") return add_replace(R"(\p{M})", "", out);
  if (type == "Nmt") return add_nmt(out);
  if (type == "BertNormalizer") return add_bert(value, out);
  if (type == "Precompiled") return add_charsmap(value, out);
  return unsupported("the normalizer", type);
}

Status read_pre_tokenizer(JsonValue value, std::vector<Step>& out) {
  if (!value.has_value()) return {};
  PRONK_TRY(const std::string_view type, type_of(value));
  if (type == "Sequence") {
    return read_each(value, "pretokenizers", [&](JsonValue each) { return read_pre_tokenizer(each, out); });
  }
  if (type == "ByteLevel") return add_byte_level(value, out);
  if (type == "Metaspace") return add_metaspace(value, out);
  if (type == "Split") {
    PRONK_TRY(Splitter pattern, read_pattern(value));
    PRONK_TRY(const SplitBehavior behavior, read_behavior(value));
    PRONK_TRY(const bool inverted, value.boolean_or("invert", false));
    return add_split(std::move(pattern), behavior, inverted, out);
  }
  if (type == "Digits") {
    PRONK_TRY(const bool alone, value.boolean_or("individual_digits", false));
    return add_split(alone ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::isolated, false, out);
  }
  if (type == "Punctuation") {
    PRONK_TRY(const SplitBehavior behavior, read_behavior(value));
    return add_split(punctuation, behavior, false, out);
  }
  if (type == "CharDelimiterSplit") {
    PRONK_TRY(const std::string_view delimiter, value.string_at("delimiter"));
    PRONK_TRY(Splitter pattern, literal(delimiter));
    return add_split(std::move(pattern), SplitBehavior::removed, false, out);
  }
  if (type == "Whitespace") return add_split(R"(\w+|[^\w\s]+)", SplitBehavior::removed, true, out);
  const bool bert = type == "BertPreTokenizer";
  if (!bert && type != "WhitespaceSplit") return unsupported("the pre_tokenizer", type);
  PRONK_OK(add_split(R"(\s)", SplitBehavior::removed, false, out));
  return bert ? add_split(punctuation, SplitBehavior::isolated, false, out) : Status{};
}

Result<Decoder> read_decoder(JsonValue value) {
  Decoder out;
  out.joins_words = !value.has_value();
  if (value.has_value()) PRONK_OK(read_decoder_step(value, out));
  return out;
}

Result<Ends> read_post_processor(JsonValue value) {
  Ends out;
  if (value.has_value()) PRONK_OK(read_processor(value, out));
  return out;
}

}  // namespace pronk::text
