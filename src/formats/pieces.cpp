// Four bits a weight in groups of 32 as MLC's compiler writes them (q4f16_1, q4f32_1): a weight is scale · (code − 7),
// two codes in a byte, the lower one first. With 15 − code and −scale that is what the blocks are, d · (n − 8), to the
// last bit. And what is stored as codes and a float32 for each 64, each as it stays; and the four-bit floats of
// gpt-oss, which have neighbours in a byte, and a block's exponents in a tensor of their own.
#include "formats/pieces.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "files/ggml_types.h"

namespace pronk::formats {

namespace {

constexpr u32 code_bytes = 16, scale_bytes = 2, block_bytes = scale_bytes + code_bytes;

// Codes of a block in the order of the weights, complemented, to bytes with code j and code j + 16.
void place_codes(const u8* from, u8* to) {
  for (u32 j = 0; j < code_bytes; j += 2) {
    const u32 first = from[j / 2], second = from[j / 2 + 8];
    to[j] = u8(~((first & 15) | second << 4));
    to[j + 1] = u8(~(first >> 4 | (second & 0xf0)));
  }
}

void place(u32 piece, const u8* from, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, blocks += block_bytes) {
    if (piece == 0) {
      place_codes(from + b * code_bytes, blocks + scale_bytes);
    } else {
      const u16 negative = load_le<u16>(from + b * scale_bytes) ^ 0x8000;
      std::memcpy(blocks, &negative, scale_bytes);
    }
  }
}

constexpr u32 wide_code_bytes = 32, wide_scale_bytes = 4, wide_block_bytes = wide_scale_bytes + wide_code_bytes;

void place_as_it_is(u32 piece, const u8* from, u64 count, u8* blocks) {
  const u32 offset = piece == 0 ? wide_scale_bytes : 0, bytes = piece == 0 ? wide_code_bytes : wide_scale_bytes;
  for (u64 b = 0; b < count; ++b) std::memcpy(blocks + b * wide_block_bytes + offset, from + b * bytes, bytes);
}

// Codes of neighbours to bytes with code j and code j + 16.
void place_mxfp4(u32 piece, const u8* from, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, blocks += 1 + code_bytes) {
    if (piece == 1) {
      blocks[0] = from[b];
      continue;
    }
    const u8* codes = from + b * code_bytes;
    for (u32 j = 0; j < code_bytes; ++j) {
      const u32 shift = j % 2 * 4, low = codes[j / 2] >> shift & 15, high = codes[j / 2 + 8] >> shift & 15;
      blocks[1 + j] = u8(low | high << 4);
    }
  }
}

// Signs of f16 and bf16 are the same bit.
constexpr Pieces all[] = {{2, {code_bytes, scale_bytes}, place},
                          {files::own_type, {code_bytes, scale_bytes}, place},
                          {39, {code_bytes, 1}, place_mxfp4},
                          {files::own_type + 1, {wide_code_bytes, wide_scale_bytes}, place_as_it_is}};

}  // namespace

const Pieces* find_pieces(u32 ggml_type) {
  const auto found = std::ranges::find(all, ggml_type, &Pieces::ggml_type);
  return found == std::end(all) ? nullptr : found;
}

// Of each 32 bytes, byte j has codes j, 32 + j, 64 + j and 96 + j from the lowest bits up.
void place_ternary(const u8* codes, u32 shift, u16 scale, u64 count, u8* blocks) {
  for (u64 b = 0; b < count; ++b, codes += ternary_weights, blocks += ternary_bytes) {
    std::memset(blocks, 0, ternary_bytes - sizeof scale);
    for (u32 i = 0; i < ternary_weights; ++i)
      blocks[i / 128 * 32 + i % 32] |= u8((codes[i] >> shift & 3) << i % 128 / 32 * 2);
    std::memcpy(blocks + ternary_bytes - sizeof scale, &scale, sizeof scale);
  }
}

}  // namespace pronk::formats
