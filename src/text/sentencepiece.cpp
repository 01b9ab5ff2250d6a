// SentencePiece BPE: over the whole text, the pair that spells the token of the highest score merges first, the
// leftmost among equals.
#include <algorithm>

#include "text/unicode.h"
#include "text/vocabulary.h"

namespace pronk::text {
namespace {

class Merger {
 public:
  Merger(const Vocabulary& vocabulary, std::string_view text) : vocabulary_(vocabulary), text_(text) {
    for (u32 start = 0; start < text.size();) {
      const u32 bytes = decode_char(text, start).bytes;
      const u32 index = u32(symbols_.size());
      symbols_.push_back({start, bytes, index - 1, index + 1});
      start += bytes;
    }
    if (!symbols_.empty()) symbols_.back().next = no_token;
  }

  void run(std::vector<u32>& out) {
    for (u32 i = 0; i + 1 < symbols_.size(); ++i) push(i);
    std::make_heap(heap_.begin(), heap_.end(), later);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const Candidate candidate = heap_.back();
      heap_.pop_back();
      const u32 left = u32(candidate.key);
      if (symbols_[left].bytes == 0 || pair_bytes(left) != candidate.bytes) continue;  // out of date
      join(left);
    }
    for (u32 i = symbols_.empty() ? no_token : 0; i != no_token; i = symbols_[i].next) emit(symbols_[i], out);
  }

 private:
  struct Symbol {
    u32 start, bytes;    // bytes == 0: merged into the symbol before
    u32 previous, next;  // no_token at the ends
  };
  struct Candidate {
    u64 key;    // score key of the token, then the left symbol's index: the smallest merges first
    u32 bytes;  // of the token
  };
  static bool later(const Candidate& a, const Candidate& b) { return a.key > b.key; }

  u32 pair_bytes(u32 left) const {
    const u32 right = symbols_[left].next;
    return right == no_token ? 0 : symbols_[left].bytes + symbols_[right].bytes;
  }

  // Ordinary text never becomes a control, unknown or byte token by being spelled like one.
  u32 find(std::string_view spelling) const {
    const u32 id = vocabulary_.spellings.find(spelling);
    if (id == no_token) return no_token;
    const TokenType type = vocabulary_.types[id];
    return type == TokenType::control || type == TokenType::unknown || type == TokenType::byte ? no_token : id;
  }

  bool push(u32 left) {
    const u32 bytes = pair_bytes(left);
    if (bytes == 0) return false;
    const u32 id = find(text_.substr(symbols_[left].start, bytes));
    if (id == no_token) return false;
    heap_.push_back({u64{vocabulary_.score_keys[id]} << 32 | left, bytes});
    return true;
  }

  void join(u32 left) {
    const u32 right = symbols_[left].next;
    symbols_[left].bytes += symbols_[right].bytes;
    symbols_[left].next = symbols_[right].next;
    symbols_[right].bytes = 0;
    if (symbols_[right].next != no_token) symbols_[symbols_[right].next].previous = left;
    const u32 previous = symbols_[left].previous;
    if (previous != no_token && push(previous)) std::push_heap(heap_.begin(), heap_.end(), later);
    if (push(left)) std::push_heap(heap_.begin(), heap_.end(), later);
  }

  void emit(const Symbol& symbol, std::vector<u32>& out) const {
    const std::string_view spelling = text_.substr(symbol.start, symbol.bytes);
    if (const u32 id = find(spelling); id != no_token) {
      out.push_back(id);
      return;
    }
    for (const char byte : spelling) {
      if (const u32 id = vocabulary_.byte_tokens[u8(byte)]; id != no_token) out.push_back(id);
    }
  }

  const Vocabulary& vocabulary_;
  std::string_view text_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
};

}  // namespace

void encode_sentencepiece(const Vocabulary& vocabulary, std::string_view text, bool space_prefix,
                          std::vector<u32>& out) {
  std::string escaped;
  escaped.reserve(text.size() + text.size() / 2 + space_mark.size());
  if (space_prefix) escaped += space_mark;
  for (const char c : text) c == ' ' ? escaped += space_mark : escaped += c;
  Merger(vocabulary, escaped).run(out);
}

}  // namespace pronk::text
