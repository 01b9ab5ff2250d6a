// Text from a file made fit for a one-line message.
#pragma once

#include <string>
#include <string_view>

namespace pronk {

// In single quotes; what is not printable ASCII comes as \xNN, and what is long is cut.
inline std::string quoted(std::string_view text, std::size_t longest = 64) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out = "'";
  for (char c : text.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  if (text.size() > longest) out += "…";
  return out + "'";
}

}  // namespace pronk
