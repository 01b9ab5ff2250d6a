// Blocks whose parts are tensors of their own in a file: their codes one after the other, and elsewhere their scales.
// They become blocks of a format while they are loaded, piece by piece, so that nothing else knows of it.
#pragma once

#include <array>

#include "formats/format.h"

namespace pronk::formats {

struct Pieces {
  u32 ggml_type = 0;           // of the blocks
  std::array<u32, 2> bytes{};  // of a block in each piece, which are its planes on the GPU
  // Puts a piece of `count` blocks into them, beside what is there of the other.
  void (*place)(u32 piece, const u8* from, u64 count, u8* blocks) = nullptr;
};

// Null: blocks of that type are whole in every file.
const Pieces* find_pieces(u32 ggml_type);

// Blocks of numbers −1, 0 and 1 with one scale, an f16, from codes of two bits in bytes of their own, at `shift`.
constexpr u32 ternary_type = 35, ternary_weights = 256, ternary_bytes = 66;
void place_ternary(const u8* codes, u32 shift, u16 scale, u64 count, u8* blocks);

}  // namespace pronk::formats
