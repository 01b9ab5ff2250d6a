// Every GGML tensor type the field has given an id: its name and how large it is, whether pronk runs it or not. And
// those of pronk's own, for what other sources hold and no type of the field does exactly.
#pragma once

#include <string_view>

#include "base/types.h"

namespace pronk::files {

struct GgmlType {
  u32 id = 0;
  std::string_view name;  // as GGUF tools print it: "Q4_0"
  u32 block_weights = 0;  // 0: an id that was taken back; no file can be read with it
  u32 block_bytes = 0;
};

constexpr u32 own_type = 0x6b700000;  // of the first of them: far from the field's

const GgmlType* find_ggml_type(u32 id);                 // null: never given, or not known here
const GgmlType* find_ggml_type(std::string_view name);  // exact upper-case name

}  // namespace pronk::files
