// The spellings and merges of a vocabulary in little memory: bytes in one arena, found through open addressing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/metadata.h"

namespace pronk::text {

constexpr u32 no_token = ~u32{0};

// Spellings by id, and back. An empty spelling is nobody's and is never found; of equal ones the first is found.
class Spellings {
 public:
  Status load(std::span<const std::string_view> strings, std::string_view key);
  Status load(const files::Array& strings, std::string_view key);
  u32 count() const { return u32(starts_.size()) - 1; }
  std::string_view operator[](u32 id) const { return {bytes_.data() + starts_[id], starts_[id + 1] - starts_[id]}; }
  u32 find(std::string_view spelling) const;  // no_token when there is none
  u32 longest() const { return longest_; }
  u64 memory_bytes() const { return bytes_.capacity() + (starts_.capacity() + slots_.capacity()) * sizeof(u32); }

 private:
  std::string bytes_;
  std::vector<u32> starts_{0};  // count() + 1
  std::vector<u32> slots_;      // id or no_token; at most 2/3 full
  u32 longest_ = 0;
};

struct Merge {
  u32 left, right, result;
};

// Merges by rank, and the rank of a pair. Of equal pairs the first counts.
class Merges {
 public:
  Status load(const files::Array& strings, const Spellings& spellings, std::string_view key);
  Status reserve(u64 count, std::string_view key);  // before `add`
  void add(const Merge& merge);                     // under the next rank
  u32 rank(u32 left, u32 right) const;              // no_token when the pair does not merge
  const Merge& operator[](u32 rank) const { return merges_[rank]; }
  u64 memory_bytes() const { return merges_.capacity() * sizeof(Merge) + slots_.capacity() * sizeof(u32); }

 private:
  std::vector<Merge> merges_;
  std::vector<u32> slots_;
};

}  // namespace pronk::text
