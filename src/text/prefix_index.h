// Which spellings a text begins with, in one pass over its first bytes.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "text/spellings.h"

namespace pronk::text {

class PrefixIndex {
 public:
  PrefixIndex() = default;
  PrefixIndex(const Spellings& spellings, std::vector<u32> ids) : ids_(std::move(ids)) {  // none of them empty
    std::sort(ids_.begin(), ids_.end(),
              [&](u32 a, u32 b) { return std::pair(spellings[a], a) < std::pair(spellings[b], b); });
  }

  const std::vector<u32>& ids() const { return ids_; }  // in byte order of their spellings, then by id
  u64 memory_bytes() const { return ids_.capacity() * sizeof(u32); }

  // Calls visit(index into ids(), bytes) for each spelling that the text begins with, the shortest first, of equal ones
  // the lower id first.
  template <class Visit>
  void for_each_prefix(const Spellings& spellings, std::string_view text, Visit visit) const {
    auto low = ids_.begin(), high = ids_.end();
    for (u64 depth = 0; low != high; ++depth) {
      for (; low != high && spellings[*low].size() == depth; ++low) visit(u64(low - ids_.begin()), depth);
      if (depth == text.size()) return;
      const u8 byte = u8(text[depth]);
      low = std::partition_point(low, high, [&](u32 id) { return u8(spellings[id][depth]) < byte; });
      high = std::partition_point(low, high, [&](u32 id) { return u8(spellings[id][depth]) == byte; });
    }
  }

 private:
  std::vector<u32> ids_;
};

}  // namespace pronk::text
