#include "text/charsmap.h"

#include <algorithm>

namespace pronk::text {
namespace {

constexpr u64 longest_key = 64;           // bytes; bounds what a damaged map can cost
constexpr u64 longest_replacement = 255;  // bytes

// The fields of a unit.
u32 offset_of(u32 unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }
u32 label_of(u32 unit) { return unit & (1u << 31 | 0xff); }
bool has_value(u32 unit) { return (unit >> 8 & 1) != 0; }
u32 value_of(u32 unit) { return unit & ~(1u << 31); }

}  // namespace

Status Charsmap::load(const files::Array& bytes, std::string_view key) {
  std::string copy;
  copy.reserve(bytes.count());
  for (u64 i = 0; i < bytes.count(); ++i) copy += char(bytes.integer(i));
  return load(copy, key);
}

Status Charsmap::load(std::string_view bytes, std::string_view key) {
  const auto wrong = [&](std::string_view what) { return fail(std::string(key) + " " + std::string(what)); };
  const u64 count = bytes.size();
  const auto byte = [&](u64 i) { return u32(u8(bytes[i])); };
  const auto word = [&](u64 i) { return byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24; };
  if (count < 4) return wrong("has fewer than 4 bytes");
  const u64 units = word(0) / 4;
  if (word(0) % 4 != 0 || units == 0 || word(0) > count - 4) return wrong("is shorter than its double array");
  units_.reserve(units);
  for (u64 i = 0; i < units; ++i) units_.push_back(word(4 + 4 * i));
  replacements_.reserve(count - 4 - 4 * units);
  u64 run = 0;
  for (u64 i = 4 + 4 * units; i < count; ++i) {
    replacements_ += char(byte(i));
    run = byte(i) == 0 ? 0 : run + 1;
    if (run > longest_replacement) return wrong("has a replacement of more than 255 bytes");
  }
  return run > 0 ? wrong("has a replacement without an end") : Status{};
}

Charsmap::Match Charsmap::longest(std::string_view text) const {
  Match found;
  if (units_.empty()) return found;
  u64 node = offset_of(units_[0]);
  const u64 end = std::min<u64>(text.size(), longest_key);
  for (u64 i = 0; i < end; ++i) {
    node ^= u8(text[i]);
    if (text[i] == '\0' || node >= units_.size() || label_of(units_[node]) != u8(text[i])) break;
    const bool ends_here = has_value(units_[node]);
    node ^= offset_of(units_[node]);
    if (node >= units_.size()) break;
    if (ends_here && value_of(units_[node]) < replacements_.size()) {
      found = {i + 1, replacements_.c_str() + value_of(units_[node])};
    }
  }
  return found;
}

}  // namespace pronk::text
