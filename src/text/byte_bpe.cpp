// BPE: inside of a word, the pair of the lowest rank merges first, the leftmost among equals.
#include <algorithm>
#include <functional>

#include "text/unicode.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

constexpr u64 short_word = 24;  // symbols up to which looking over all pairs beats a heap

class WordEncoder {
 public:
  explicit WordEncoder(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), merges_(vocabulary.merges), over_characters_(vocabulary.pre.over_characters()) {}

  void encode(std::string_view word, std::vector<u32>& out) {
    if (may_be_whole(word)) {
      if (const u32 id = whole(word); id != no_token) {
        out.push_back(id);
        return;
      }
    }
    ids_.clear();
    if (vocabulary_.pipeline) {
      spell_by_symbols(word);
    } else {
      over_characters_ ? spell_by_characters(word) : spell_by_bytes(word);
    }
    ids_.size() <= short_word ? merge_short() : merge_long();
    for (const u32 id : ids_) {
      if (id != no_token) out.push_back(id);  // a byte that the vocabulary cannot spell is dropped
    }
  }

 private:
  // Over characters no merges lead to the tokens for several line breaks.
  bool may_be_whole(std::string_view word) const {
    if (vocabulary_.pipeline) return steps_of(vocabulary_).ignores_merges;
    return vocabulary_.pre.ignores_merges() ||
           (over_characters_ && word.find_first_not_of('\n') == std::string_view::npos);
  }

  // The token that a whole word is.
  u32 whole(std::string_view word) {
    if (word.size() > vocabulary_.spellings.longest()) return no_token;
    if (vocabulary_.pipeline) return vocabulary_.find_piece(word);
    if (over_characters_) return vocabulary_.spellings.find(word);
    spelling_.clear();
    for (const char byte : word) append_utf8(byte_to_char(u8(byte)), spelling_);
    return vocabulary_.spellings.find(spelling_);
  }

  void spell_by_bytes(std::string_view word) {
    for (const char byte : word) ids_.push_back(vocabulary_.byte_tokens[u8(byte)]);
  }

  void spell_by_characters(std::string_view word) {
    for (u64 at = 0; at < word.size();) {
      const std::string_view spelling = word.substr(at, decode_char(word, at).bytes);
      const u32 id = vocabulary_.spellings.find(spelling);
      id != no_token ? ids_.push_back(id) : spell_by_bytes(spelling);
      at += spelling.size();
    }
  }

  // Characters, what a pipeline puts around them included.
  void spell_by_symbols(std::string_view word) {
    const Steps& p = steps_of(vocabulary_);
    bool unknown_before = false;
    for (u64 at = 0; at < word.size();) {
      const std::string_view symbol = word.substr(at, decode_char(word, at).bytes);
      spelling_ = at > 0 ? p.continuing_prefix : std::string();
      spelling_ += symbol;
      at += symbol.size();
      if (at == word.size()) spelling_ += p.word_suffix;
      u32 id = vocabulary_.find_piece(spelling_);
      const bool unknown = id == no_token && !append_byte_tokens(vocabulary_, symbol, ids_);
      if (unknown && !(p.fuses_unknown && unknown_before)) id = vocabulary_.unknown;
      if (id != no_token) ids_.push_back(id);
      unknown_before = unknown;
    }
  }

  u32 rank_at(u64 i) const { return merges_.rank(ids_[i], ids_[i + 1]); }

  void merge_short() {
    u32 ranks[short_word];  // of the pair that starts here
    u64 count = ids_.size();
    for (u64 i = 0; i + 1 < count; ++i) ranks[i] = rank_at(i);
    while (count > 1) {
      const u64 best = u64(std::min_element(ranks, ranks + count - 1) - ranks);
      if (ranks[best] == no_token) break;
      ids_[best] = merges_[ranks[best]].result;
      ids_.erase(ids_.begin() + i64(best) + 1);
      std::copy(ranks + best + 1, ranks + count - 1, ranks + best);
      --count;
      if (best + 1 < count) ranks[best] = rank_at(best);
      if (best > 0) ranks[best - 1] = rank_at(best - 1);
    }
    ids_.resize(count);
  }

  void push(u32 left) {
    const u32 right = links_[left].next;
    if (right == no_token) return;
    const u32 rank = merges_.rank(ids_[left], ids_[right]);
    if (rank != no_token) heap_.push_back(u64{rank} << 32 | left);
  }

  // A min-heap of rank and left place. An entry is out of date when the pair that stands there is another one by now.
  void merge_long() {
    const u32 count = u32(ids_.size());
    links_.resize(count);
    for (u32 i = 0; i < count; ++i) links_[i] = {i - 1, i + 1 < count ? i + 1 : no_token};
    heap_.clear();
    for (u32 i = 0; i + 1 < count; ++i) push(i);
    std::make_heap(heap_.begin(), heap_.end(), std::greater{});
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater{});
      const u32 left = u32(heap_.back());
      const Merge& merge = merges_[u32(heap_.back() >> 32)];
      heap_.pop_back();
      const u32 right = links_[left].next;
      if (right == no_token || ids_[left] != merge.left || ids_[right] != merge.right) continue;
      join(left, right, merge.result);
    }
    u32 kept = 0;
    for (u32 i = 0; i != no_token; i = links_[i].next) ids_[kept++] = ids_[i];
    ids_.resize(kept);
  }

  void join(u32 left, u32 right, u32 result) {
    ids_[left] = result;
    ids_[right] = no_token;  // no merge begins with it, so that entries that start here are out of date
    links_[left].next = links_[right].next;
    if (links_[right].next != no_token) links_[links_[right].next].previous = left;
    for (const u32 start : {links_[left].previous, left}) {
      const u64 before = heap_.size();
      if (start != no_token) push(start);
      if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end(), std::greater{});
    }
  }

  struct Link {
    u32 previous, next;  // no_token at the ends
  };
  const Vocabulary& vocabulary_;
  const Merges& merges_;
  const bool over_characters_;
  std::vector<u32> ids_;
  std::vector<Link> links_;
  std::vector<u64> heap_;
  std::string spelling_;
};

}  // namespace

bool append_byte_tokens(const Vocabulary& vocabulary, std::string_view character, std::vector<u32>& out) {
  if (!steps_of(vocabulary).byte_fallback) return false;
  const auto has_token = [&](char byte) { return vocabulary.byte_tokens[u8(byte)] != no_token; };
  if (!std::all_of(character.begin(), character.end(), has_token)) return false;
  for (const char byte : character) out.push_back(vocabulary.byte_tokens[u8(byte)]);
  return true;
}

void encode_bpe(const Vocabulary& vocabulary, const Pieces& pieces, std::vector<u32>& out) {
  WordEncoder encoder(vocabulary);
  for (const auto& [start, end] : pieces.ranges) {
    encoder.encode(std::string_view(pieces.text).substr(start, end - start), out);
  }
}

void encode_byte_bpe(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) {
  std::string marked;
  if (vocabulary.pre.over_characters()) {
    for (const char c : text) c == ' ' ? marked += space_mark : marked += c;
    text = marked;
  }
  std::vector<u32> ends;
  vocabulary.pre.split(text, ends);
  WordEncoder encoder(vocabulary);
  u32 start = 0;
  for (const u32 end : ends) {
    encoder.encode(text.substr(start, end - start), out);
    start = end;
  }
}

}  // namespace pronk::text
