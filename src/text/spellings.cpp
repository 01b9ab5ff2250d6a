#include "text/spellings.h"

#include <cstring>

#include "base/quote.h"

namespace pronk::text {
namespace {

constexpr u64 multiplier = 0x9e3779b97f4a7c15;
constexpr u64 longest_spelling = 65535;  // bytes; bounds what looking for one can cost

u64 mix(u64 value) {
  value *= multiplier;
  return value ^ value >> 29;
}

u64 hash(std::string_view text) {
  u64 state = text.size() * multiplier;
  const char* at = text.data();
  u64 left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    u64 word;
    std::memcpy(&word, at, 8);
    state = mix(state ^ word);
  }
  u64 word = 0;
  for (u64 i = 0; i < left; ++i) word |= u64(u8(at[i])) << 8 * i;
  return mix(mix(state ^ word));
}

u64 hash(u32 left, u32 right) { return mix(mix(u64{left} << 32 | right)); }

std::vector<u32> empty_slots(u64 count) { return std::vector<u32>(count + count / 2 + 2, no_token); }

// Slots of a hash, one after the other from where it points to (Lemire 2019: a product's upper half in place of
// modulo).
class Probe {
 public:
  Probe(u64 hash, const std::vector<u32>& slots) : count_(slots.size()), at_((hash >> 32) * count_ >> 32) {}
  u64 operator*() const { return at_; }
  void operator++() { at_ = at_ + 1 == count_ ? 0 : at_ + 1; }

 private:
  u64 count_, at_;
};

}  // namespace

Status Spellings::load(const files::Array& strings, std::string_view key) {
  std::vector<std::string_view> views;
  views.reserve(strings.count());
  for (u64 i = 0; i < strings.count(); ++i) views.push_back(strings.string(i));
  return load(views, key);
}

Status Spellings::load(std::span<const std::string_view> strings, std::string_view key) {
  const u64 count = strings.size();
  if (count == 0) return fail(std::string(key) + " is empty");
  if (count >= u64{1} << 30) return fail(std::string(key) + " has too many entries: " + std::to_string(count));
  u64 bytes = 0;
  for (u64 i = 0; i < count; ++i) bytes += strings[i].size();
  if (bytes >= no_token) return fail(std::string(key) + " holds more than 4 GiB");
  bytes_.reserve(bytes);
  starts_.reserve(count + 1);
  slots_ = empty_slots(count);
  for (u32 id = 0; id < count; ++id) {
    const std::string_view spelling = strings[id];
    if (spelling.size() > longest_spelling) {
      return fail(std::string(key) + "[" + std::to_string(id) + "] has " + std::to_string(spelling.size()) + " bytes");
    }
    bytes_ += spelling;
    starts_.push_back(u32(bytes_.size()));
    if (spelling.empty()) continue;
    longest_ = std::max(longest_, u32(spelling.size()));
    Probe slot(hash(spelling), slots_);
    while (slots_[*slot] != no_token && (*this)[slots_[*slot]] != spelling) ++slot;
    if (slots_[*slot] == no_token) slots_[*slot] = id;
  }
  return {};
}

u32 Spellings::find(std::string_view spelling) const {
  if (spelling.size() > longest_ || spelling.empty()) return no_token;
  for (Probe slot(hash(spelling), slots_); slots_[*slot] != no_token; ++slot) {
    if ((*this)[slots_[*slot]] == spelling) return slots_[*slot];
  }
  return no_token;
}

Status Merges::load(const files::Array& strings, const Spellings& spellings, std::string_view key) {
  const u64 count = strings.count();
  PRONK_OK(reserve(count, key));
  std::string joined;
  for (u32 rank = 0; rank < count; ++rank) {
    const std::string_view merge = strings.string(rank);
    const u64 space = merge.find(' ', 1);  // a part may itself be a space, but not both
    const auto wrong = [&](std::string_view what) {
      return fail(std::string(key) + "[" + std::to_string(rank) + "] " + quoted(merge) + ": " + std::string(what));
    };
    if (space == std::string_view::npos) return wrong("not two parts with a space between");
    joined.assign(merge, 0, space).append(merge, space + 1);
    const Merge ids{spellings.find(merge.substr(0, space)), spellings.find(merge.substr(space + 1)),
                    spellings.find(joined)};
    if (ids.left == no_token || ids.right == no_token) return wrong("a part is not in the vocabulary");
    if (ids.result == no_token) return wrong("its result is not in the vocabulary");
    add(ids);
  }
  return {};
}

Status Merges::reserve(u64 count, std::string_view key) {
  if (count >= u64{1} << 30) return fail(std::string(key) + " has too many entries: " + std::to_string(count));
  merges_.reserve(count);
  slots_ = empty_slots(count);
  return {};
}

void Merges::add(const Merge& merge) {
  const auto is_other = [&](const Merge& each) { return each.left != merge.left || each.right != merge.right; };
  Probe slot(hash(merge.left, merge.right), slots_);
  while (slots_[*slot] != no_token && is_other(merges_[slots_[*slot]])) ++slot;
  if (slots_[*slot] == no_token) slots_[*slot] = u32(merges_.size());
  merges_.push_back(merge);
}

u32 Merges::rank(u32 left, u32 right) const {
  if (slots_.empty()) return no_token;
  for (Probe slot(hash(left, right), slots_); slots_[*slot] != no_token; ++slot) {
    const Merge& merge = merges_[slots_[*slot]];
    if (merge.left == left && merge.right == right) return slots_[*slot];
  }
  return no_token;
}

}  // namespace pronk::text
