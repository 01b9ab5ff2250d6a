#include "text/pipeline.h"

#include <algorithm>

#include "text/normal_form.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

bool is_space(u32 code_point) { return class_of(code_point) == CharClass::space; }

// Bytes of the white space that a text begins with.
u64 leading_space(std::string_view text) {
  u64 at = 0;
  while (at < text.size()) {
    const DecodedChar c = decode_char(text, at);
    if (!is_space(c.code_point)) break;
    at += c.bytes;
  }
  return at;
}

// Where the last character starts.
u64 last_char(std::string_view text) {
  u64 at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (u8(text[at]) & 0xc0) == 0x80) --at;
  return at + decode_char(text, at).bytes == text.size() ? at : text.size() - 1;
}

// Where the white space begins that a text ends with.
u64 trailing_space(std::string_view text) {
  u64 at = text.size();
  while (at > 0) {
    const u64 before = last_char(text.substr(0, at));
    if (!is_space(decode_char(text, before).code_point)) break;
    at = before;
  }
  return at;
}

bool is_word_char(std::string_view text, u64 at) {
  static const SplitPattern word(R"(\w)");
  return word.match(text, at, text.size()) > at;
}

template <class Visit>
void for_each_char(std::string_view text, Visit visit) {
  for (u64 at = 0; at < text.size();) {
    const DecodedChar c = decode_char(text, at);
    visit(c.code_point, text.substr(at, c.bytes));
    at += c.bytes;
  }
}

// Appends the text with matches replaced; false when it grows beyond most_bytes.
bool replace(const Splitter& pattern, std::string_view by, std::string_view text, u64 most_bytes, std::string& out) {
  u64 done = 0;
  bool fits = true;
  pattern.for_each_match(text, 0, text.size(), [&](u64 start, u64 end) {
    out += text.substr(done, start - done);
    out += by;
    done = end;
    fits = out.size() <= most_bytes;
    return fits;
  });
  out += text.substr(done);
  return fits;
}

// Bytes of what a reader takes for one character: one with the marks, joiners and modifiers after it. Precise where it
// has fewer than six bytes; what is longer is not looked up as a whole.
u64 cluster_bytes(std::string_view text) {
  const DecodedChar first = decode_char(text, 0);
  if (text.starts_with("\r\n")) return 2;
  u64 end = first.bytes;
  if (class_of(first.code_point) == CharClass::control || first.code_point == '\n' || first.code_point == '\r')
    return end;
  while (end < text.size()) {
    const DecodedChar next = decode_char(text, end);
    const CharClass kind = class_of(next.code_point);
    const u32 c = next.code_point;
    const bool extends = kind == CharClass::mark || kind == CharClass::spacing_mark || (c & ~1u) == 0x200c ||
                         (c & ~1u) == 0xff9e || (c >= 0x1f3fb && c <= 0x1f3ff);
    if (!extends) break;
    end += next.bytes;
  }
  return end;
}

// What belongs to one character by the first entry that it begins with, or else each character by its own.
void map_chars(const Charsmap& charsmap, std::string_view text, std::string& out) {
  constexpr u64 longest_cluster = 5;  // bytes, as the library has it
  while (!text.empty()) {
    std::string_view cluster = text.substr(0, cluster_bytes(text));
    text.remove_prefix(cluster.size());
    if (cluster.size() <= longest_cluster) {
      if (const Charsmap::Match match = charsmap.shortest(cluster); match.bytes > 0) {
        out += match.replacement;
        continue;
      }
    }
    for_each_char(cluster, [&](u32, std::string_view bytes) {
      const Charsmap::Match match = charsmap.shortest(bytes);
      out += match.bytes > 0 ? match.replacement : bytes;
    });
  }
}

// One piece through a step that is not a split; false when it grows too much.
bool change(const Step& step, bool at_start, std::string_view text, u64 most_bytes, std::string& out) {
  switch (step.action) {
    case Action::replace:
      return replace(step.pattern[0], step.text, text, most_bytes, out);
    case Action::prepend_if:
    case Action::prepend_if_start:
      if (text.starts_with(step.text) || (step.action == Action::prepend_if_start && !at_start)) break;
      [[fallthrough]];
    case Action::prepend:
      out += step.text;
      break;
    case Action::strip_left:
      text.remove_prefix(leading_space(text));
      break;
    case Action::strip_right:
      text = text.substr(0, trailing_space(text));
      break;
    case Action::lower_case:
      for_each_char(text, [&](u32 c, std::string_view bytes) {
        if (c == 0xfffd) {
          out += bytes;
        } else {
          append_utf8(lower_case(c), out);
          if (c == 0x130) append_utf8(0x307, out);  // the one letter whose lower case is two
        }
      });
      return true;
    case Action::remove_accents:
      for_each_char(text, [&](u32 c, std::string_view bytes) {
        const BaseChars base = base_chars(c);
        if (base.count == 1 && base.chars[0] == c) {
          out += bytes;
          return;
        }
        for (u32 i = 0; i < base.count; ++i) append_utf8(base.chars[i], out);
      });
      return true;
    case Action::surround_chinese:
      for_each_char(text, [&](u32 c, std::string_view bytes) {
        const bool alone = is_chinese(c);
        if (alone) out += ' ';
        out += bytes;
        if (alone) out += ' ';
      });
      return true;
    case Action::spell_bytes:
      for (const char byte : text) append_utf8(byte_to_char(u8(byte)), out);
      return true;
    case Action::map_chars:
      map_chars(step.charsmap, text, out);
      return true;
    case Action::nfc:
    case Action::nfd:
    case Action::nfkc:
    case Action::nfkd:
      append_normal_form(text, step.action == Action::nfkc || step.action == Action::nfkd,
                         step.action == Action::nfc || step.action == Action::nfkc, out);
      return true;
    case Action::split:
      break;
  }
  out += text;
  return true;
}

// Gathers what a split leaves of one piece.
class Cutter {
 public:
  Cutter(SplitBehavior behavior, std::vector<Pieces::Range>& out) : behavior_(behavior), out_(out) {}

  void begin(u32 start) {
    start_ = start;
    open_ = matched_before_ = false;
  }

  // The next part, which is a match or lies between two.
  void add(u32 start, u32 end, bool match) {
    if (start == end) return;
    switch (behavior_) {
      case SplitBehavior::removed:
        if (!match) out_.push_back({start, end});
        return;
      case SplitBehavior::isolated:
        out_.push_back({start, end});
        return;
      case SplitBehavior::contiguous:
        join(open_ && match == matched_before_, start, end);
        break;
      case SplitBehavior::merged_with_previous:
        join(match && open_ && !matched_before_, start, end);
        break;
      case SplitBehavior::merged_with_next:
        join(!match && open_ && matched_before_, start, end);
        break;
    }
    open_ = true;
    matched_before_ = match;
  }

 private:
  void join(bool joins, u32 start, u32 end) { joins ? void(out_.back().end = end) : out_.push_back({start, end}); }

  SplitBehavior behavior_;
  std::vector<Pieces::Range>& out_;
  u32 start_ = 0;
  bool open_ = false, matched_before_ = false;
};

void split(const Step& step, Pieces& pieces) {
  std::vector<Pieces::Range> out;
  Cutter cutter(step.behavior, out);
  for (const Pieces::Range& range : pieces.ranges) {
    cutter.begin(range.start);
    u32 done = range.start;
    step.pattern[0].for_each_match(pieces.text, range.start, range.end, [&](u64 start, u64 end) {
      cutter.add(done, u32(start), step.inverted);
      cutter.add(u32(start), u32(end), !step.inverted);
      done = u32(end);
      return true;
    });
    cutter.add(done, range.end, step.inverted);
  }
  pieces.at_start = pieces.at_start && !out.empty() && out[0].start == pieces.ranges[0].start;
  pieces.ranges = std::move(out);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (u64 at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
}

// As BERT's and other decoders clean up English, in one token.
void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> rules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& [from, to] : rules) replace_all(text, from, to);
}

// The bytes that the characters of a token stand for, or the token itself when one of them stands for none.
void append_byte_chars(std::string_view spelling, std::string& out) {
  const u64 before = out.size();
  for (u64 at = 0; at < spelling.size();) {
    const DecodedChar c = decode_char(spelling, at);
    const u32 byte = char_to_byte(c.code_point);
    if (byte == no_token) {
      out.replace(before, std::string::npos, spelling);
      return;
    }
    out += char(byte);
    at += c.bytes;
  }
}

u32 unknown_or(const Vocabulary& v, u32 id) { return id == no_token ? v.unknown : id; }

void encode_word_pieces(const Vocabulary& v, std::string_view word, std::vector<u32>& out) {
  const Steps& p = steps_of(v);
  const u64 before = out.size();
  u32 characters = 0;
  for_each_char(word, [&](u32, std::string_view) { ++characters; });
  bool known = characters <= p.longest_word;
  std::string spelling;
  for (u64 at = 0; known && at < word.size();) {
    u64 end = std::min<u64>(word.size(), at + v.spellings.longest());
    u32 id = no_token;
    for (; end > at; --end) {
      spelling = at > 0 ? p.continuing_prefix : std::string();
      spelling += word.substr(at, end - at);
      id = v.find_piece(spelling);
      if (id != no_token) break;
    }
    known = id != no_token;
    if (known) out.push_back(id);
    at = end;
  }
  if (known) return;
  out.resize(before);
  out.push_back(v.unknown);
}

void encode_pieces(const Vocabulary& v, const Pieces& pieces, std::vector<u32>& out) {
  const std::string_view text = pieces.text;
  switch (steps_of(v).model) {
    case PieceModel::bpe:
      return encode_bpe(v, pieces, out);
    case PieceModel::unigram:
      for (const auto& [start, end] : pieces.ranges) encode_unigram_piece(v, text.substr(start, end - start), out);
      return;
    case PieceModel::word_piece:
      for (const auto& [start, end] : pieces.ranges) encode_word_pieces(v, text.substr(start, end - start), out);
      return;
    case PieceModel::word_level:
      for (const auto& [start, end] : pieces.ranges) {
        out.push_back(unknown_or(v, v.find_piece(text.substr(start, end - start))));
      }
      return;
  }
}

Status run(const std::vector<Step>& steps, u64 most_bytes, Pieces& pieces) {
  for (const Step& step : steps) PRONK_OK(apply(step, most_bytes, pieces));
  return {};
}

Pieces whole(std::string_view text, bool at_start) { return {std::string(text), {{0, u32(text.size())}}, at_start}; }

Status encode_section(const Vocabulary& v, std::string_view text, bool at_start, bool control, u64 most_bytes,
                      std::vector<u32>& out) {
  const Steps& p = steps_of(v);
  Pieces section = whole(text, at_start);
  PRONK_OK(run(p.normalizer, most_bytes, section));
  for (const Fragment& fragment : p.normalized_added.split(section.text, control)) {
    if (fragment.token != no_token) {
      out.push_back(fragment.token);
      continue;
    }
    const std::string_view part = std::string_view(section.text).substr(fragment.start, fragment.end - fragment.start);
    Pieces pieces = whole(part, at_start && fragment.start == 0);
    PRONK_OK(run(p.pre_tokenizer, most_bytes, pieces));
    encode_pieces(v, pieces, out);
  }
  return {};
}

}  // namespace

Status apply(const Step& step, u64 most_bytes, Pieces& pieces) {
  if (step.action == Action::split) {
    split(step, pieces);
    return {};
  }
  Pieces out;
  out.at_start = pieces.at_start;
  out.text.reserve(pieces.text.size());
  for (const Pieces::Range& range : pieces.ranges) {
    const u32 start = u32(out.text.size());
    const std::string_view text = std::string_view(pieces.text).substr(range.start, range.end - range.start);
    const bool first = pieces.at_start && &range == pieces.ranges.data();
    if (!change(step, first, text, most_bytes, out.text) || out.text.size() > most_bytes) {
      return fail("the tokenizer makes too much of a text: more than " + std::to_string(most_bytes) + " bytes");
    }
    if (out.text.size() > start) out.ranges.push_back({start, u32(out.text.size())});
  }
  pieces = std::move(out);
  return {};
}

Status AddedTokens::load(const std::vector<std::string>& spellings, std::vector<Token> tokens) {
  if (spellings.empty()) return {};
  const std::vector<std::string_view> views(spellings.begin(), spellings.end());
  PRONK_OK(spellings_.load(views, "added_tokens"));
  std::vector<u32> ids;
  for (u32 i = 0; i < views.size(); ++i) {
    if (views[i].empty()) continue;
    ids.push_back(i);
    first_bytes_[u8(views[i][0])] = true;
  }
  index_ = PrefixIndex(spellings_, std::move(ids));
  tokens_ = std::move(tokens);
  return {};
}

std::vector<Fragment> AddedTokens::split(std::string_view text, bool control) const {
  std::vector<Fragment> out;
  u64 done = 0;
  for (u64 at = 0; at < text.size();) {
    u64 bytes = 0;
    u32 found = no_token;
    if (first_bytes_[u8(text[at])]) {
      index_.for_each_prefix(spellings_, text.substr(at), [&](u64 index, u64 length) {
        const u32 i = index_.ids()[index];
        if (length > bytes && (control || !tokens_[i].control)) bytes = length, found = i;
      });
    }
    if (found == no_token) {
      ++at;
      continue;
    }
    const Token& token = tokens_[found];
    u64 start = at, end = at + bytes;
    at = end;
    if (token.single_word && ((start > 0 && is_word_char(text, last_char(text.substr(0, start)))) ||
                              (end < text.size() && is_word_char(text, end)))) {
      continue;
    }
    if (token.strips_left) start = std::max(done, trailing_space(text.substr(0, start)));
    if (token.strips_right) at = end = end + leading_space(text.substr(end));
    if (start > done) out.push_back({no_token, u32(done), u32(start)});
    out.push_back({token.id, u32(start), u32(end)});
    done = end;
  }
  if (done < text.size()) out.push_back({no_token, u32(done), u32(text.size())});
  return out;
}

void Decoder::append(std::string_view spelling, bool first, std::string& out) const {
  if (from_byte_chars) return append_byte_chars(spelling, out);
  std::string text(spelling);
  for (const Replacement& each : replacements) replace_all(text, each.from, first ? each.to_first : each.to);
  if (joins_words && !first) {
    const bool continues = !continuing.empty() && text.starts_with(continuing);
    text.replace(0, continues ? continuing.size() : 0, continues ? "" : " ");
  }
  if (cleans_up) clean_up(text);
  out += text;
}

void Steps::decode(const Vocabulary& v, u32 id, bool first, std::string& out) const {
  decoder.append(v.spellings[id], first, out);
}

Status Steps::encode(const Vocabulary& v, std::string_view text, bool control, std::vector<u32>& out) const {
  const u64 most_bytes = std::min<u64>(most_normalized_bytes(text.size()), u64{no_token} - 1);
  for (const Fragment& fragment : raw_added.split(text, control)) {
    if (fragment.token != no_token) {
      out.push_back(fragment.token);
      continue;
    }
    const std::string_view section = text.substr(fragment.start, fragment.end - fragment.start);
    PRONK_OK(encode_section(v, section, fragment.start == 0, control, most_bytes, out));
  }
  return {};
}

}  // namespace pronk::text
