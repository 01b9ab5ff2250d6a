// Unicode's normalization forms (Unicode Standard Annex 15).
#pragma once

#include <string>
#include <string_view>

#include "base/types.h"

namespace pronk::text {

// Appends a text in NFD, or with `composed` NFC; with `compatible` NFKD or NFKC. Bytes that are not UTF-8 stay.
void append_normal_form(std::string_view text, bool compatible, bool composed, std::string& out);

}  // namespace pronk::text
