// Finds the spellings of special tokens in a text. A longer spelling goes before a shorter one wherever the two stand,
// the lower id before the higher among equals, then the leftmost.
#include <algorithm>

#include "text/vocabulary.h"

namespace pronk::text {
namespace {

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class SpecialSplitter {
 public:
  SpecialSplitter(const Vocabulary& vocabulary, std::string_view text, bool control)
      : vocabulary_(vocabulary), spellings_(vocabulary.spellings), text_(text), control_(control) {}

  std::vector<Fragment> run() {
    std::vector<Fragment> fragments;
    if (!text_.empty()) fragments.push_back({no_token, 0, u32(text_.size())});
    for (const u32 id : tokens_present()) fragments = split_at(id, fragments);
    return fragments;
  }

 private:
  // The tokens that stand somewhere in the text, in their order of precedence.
  std::vector<u32> tokens_present() const {
    const std::vector<u32>& special = vocabulary_.special.ids();
    std::vector<bool> first_bytes(256), present(special.size());
    for (const u32 id : special) first_bytes[u8(spellings_[id][0])] = true;
    for (u64 at = 0; at < text_.size(); ++at) {
      if (!first_bytes[u8(text_[at])]) continue;
      vocabulary_.special.for_each_prefix(spellings_, text_.substr(at), [&](u64 i, u64) { present[i] = true; });
    }
    std::vector<u32> found;
    for (u64 i = 0; i < special.size(); ++i) {
      const bool wanted = control_ || vocabulary_.types[special[i]] == TokenType::user_defined;
      if (present[i] && wanted) found.push_back(special[i]);
    }
    std::sort(found.begin(), found.end(),
              [&](u32 a, u32 b) { return std::pair(spellings_[b].size(), a) < std::pair(spellings_[a].size(), b); });
    return found;
  }

  bool strips(u32 id) const {
    const std::string_view spelling = spellings_[id];
    return vocabulary_.strips_after_special && spelling != "<unk>" && spelling != "<s>" && spelling != "<|endoftext|>";
  }

  std::vector<Fragment> split_at(u32 id, const std::vector<Fragment>& fragments) const {
    const std::string_view spelling = spellings_[id];
    std::vector<Fragment> out;
    for (const Fragment& fragment : fragments) {
      u32 start = fragment.start;
      if (fragment.token == no_token) {
        const std::string_view seen = text_.substr(0, fragment.end);
        for (u64 at; (at = seen.find(spelling, start)) != std::string_view::npos;) {
          if (at > start) out.push_back({no_token, start, u32(at)});
          out.push_back({id, u32(at), u32(at + spelling.size())});
          start = u32(at + spelling.size());
          while (strips(id) && start < fragment.end && is_ascii_space(text_[start])) ++start;
        }
      }
      if (start < fragment.end) out.push_back({fragment.token, start, fragment.end});
    }
    return out;
  }

  const Vocabulary& vocabulary_;
  const Spellings& spellings_;
  std::string_view text_;
  bool control_;
};

}  // namespace

std::vector<Fragment> split_special(const Vocabulary& vocabulary, std::string_view text, bool control) {
  return SpecialSplitter(vocabulary, text, control).run();
}

}  // namespace pronk::text
