// Character maps made in code, in the layout of src/text/charsmap.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/types.h"
#include "files/gguf_writer.h"

namespace pronk::text {

inline void append_u32(u32 value, std::string& out) {
  for (u32 shift = 0; shift < 32; shift += 8) out += char(value >> shift);
}

// Units by index, zero between them.
inline std::string charsmap_bytes(const std::map<u32, u32>& units, std::string_view replacements) {
  const u32 count = units.rbegin()->first + 1;
  std::string out;
  append_u32(4 * count, out);
  for (u32 i = 0; i < count; ++i) append_u32(units.contains(i) ? units.at(i) : 0, out);
  return out.append(replacements);
}

// Each prefix of a key has a block of 256 units for the bytes that may follow it.
inline std::string make_charsmap(const std::vector<std::pair<std::string, std::string>>& rules) {
  std::map<std::string, u32> blocks{{"", 256}};
  std::map<u32, u32> units{{0, 256u << 10}};
  std::string replacements;
  for (const auto& [key, replacement] : rules) {
    std::string prefix;
    u32 place = 0;
    for (const char byte : key) {
      place = blocks[prefix] + u8(byte);
      prefix += byte;
      const u32 block = blocks.try_emplace(prefix, 256 * u32(blocks.size() + 1)).first->second;
      units[place] = (units[place] & 1u << 8) | (place ^ block) << 10 | u8(byte);
    }
    units[place] |= 1u << 8;
    units[blocks[prefix]] = 1u << 31 | u32(replacements.size());
    replacements += replacement + '\0';
  }
  return charsmap_bytes(units, replacements);
}

inline void add_bytes(files::GgufWriter& writer, std::string_view key, std::string_view bytes) {
  constexpr u32 array_type = 9, u8_type = 0;
  std::string entry;
  append_u32(u32(key.size()), entry), append_u32(0, entry);
  entry += key;
  append_u32(array_type, entry), append_u32(u8_type, entry);
  append_u32(u32(bytes.size()), entry), append_u32(0, entry);
  entry += bytes;
  writer.add_entry({reinterpret_cast<const u8*>(entry.data()), entry.size()});
}

}  // namespace pronk::text
