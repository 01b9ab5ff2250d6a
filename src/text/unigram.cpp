// Unigram (Kudo 2018, arXiv 1804.10959): of all ways to cut the normalized text into pieces, the one with the highest
// sum of log probabilities, found by the Viterbi algorithm.
#include <algorithm>
#include <limits>

#include "text/unicode.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

// Characters replaced by the charsmap, U+FFFD for what is not UTF-8, and U+2581 for spaces.
class Normalizer {
 public:
  explicit Normalizer(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  std::string run(std::string_view text) {
    out_.reserve(text.size() + text.size() / 2 + space_mark.size());
    while (!text.empty()) {
      Charsmap::Match match = vocabulary_.charsmap.longest(text);
      if (match.bytes == 0) {
        const DecodedChar c = decode_char(text, 0);
        const bool ill_formed = c.bytes == 1 && c.code_point == 0xfffd;
        match = {c.bytes, ill_formed ? "\xef\xbf\xbd" : text.substr(0, c.bytes)};
      }
      for (const char c : match.replacement) add(c);
      text.remove_prefix(match.bytes);
    }
    return std::move(out_);
  }

 private:
  void add(char c) {
    if (c == ' ') {
      if (!vocabulary_.merges_spaces) out_ += space_mark;
      in_word_ = false;
      return;
    }
    if (!in_word_) {
      if (begun_ ? vocabulary_.merges_spaces : vocabulary_.add_space_prefix) out_ += space_mark;
      in_word_ = begun_ = true;
    }
    out_ += c;
  }

  const Vocabulary& vocabulary_;
  std::string out_;
  bool in_word_ = false, begun_ = false;
};

// The best way to cut the text up to some place: its last piece, and where that starts.
struct Best {
  double score = -std::numeric_limits<double>::max();
  u32 start = 0, id = no_token;
};

// By place in the text, text.size() + 1 of them; a place inside of a character means nothing.
std::vector<Best> best_cuts(const Vocabulary& v, std::string_view text) {
  std::vector<Best> best(text.size() + 1);
  best[0].score = 0;
  for (u32 at = 0; at < text.size();) {
    const u32 next = at + decode_char(text, at).bytes;
    const auto offer = [&](u64 end, u32 id, float score) {
      const double sum = best[at].score + double(score);
      if (sum > best[end].score) best[end] = {sum, at, id};
    };
    bool is_piece = false;  // the character alone
    v.pieces.for_each_prefix(v.spellings, text.substr(at), [&](u64 index, u64 bytes) {
      const u32 id = v.pieces.ids()[index];
      is_piece = is_piece || at + bytes == next;
      offer(at + bytes, id, v.types[id] == TokenType::user_defined && !v.pipeline ? 0.0f : v.scores[id]);
    });
    if (!is_piece) offer(next, v.unknown, v.unknown_score);
    at = next;
  }
  return best;
}

}  // namespace

void encode_unigram_piece(const Vocabulary& v, std::string_view piece, std::vector<u32>& out) {
  const std::vector<Best> best = best_cuts(v, piece);
  std::vector<u32> ends;
  for (u32 end = u32(piece.size()); end > 0; end = best[end].start) ends.push_back(end);
  for (u64 i = ends.size(); i-- > 0;) {
    const u32 start = best[ends[i]].start;
    if (best[ends[i]].id != v.unknown) {
      out.push_back(best[ends[i]].id);
      continue;
    }
    while (i > 0 && best[ends[i - 1]].id == v.unknown) --i;  // unknown ones in a row are one
    const std::string_view unknown = piece.substr(start, ends[i] - start);
    const u32 id = v.find_piece(unknown);
    if (id == no_token && append_byte_tokens(v, unknown, out)) continue;
    out.push_back(id == no_token ? v.unknown : id);
  }
}

void encode_unigram(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) {
  const std::string normalized = Normalizer(vocabulary).run(text);
  const std::vector<Best> best = best_cuts(vocabulary, normalized);
  const u64 before = out.size();
  for (u32 end = u32(normalized.size()); end > 0; end = best[end].start) {
    const bool repeats = out.size() > before && out.back() == vocabulary.unknown;
    if (best[end].id != vocabulary.unknown || !repeats) out.push_back(best[end].id);  // unknown ones in a row are one
  }
  std::reverse(out.begin() + i64(before), out.end());
}

}  // namespace pronk::text
