// How fast this instruction set multiplies what lies in the first cache.

// Makes `rounds` times the same products of 8-bit numbers by panel_dot, and returns how many multiply-adds that were.
u64 multiply_in_cache(u32 rounds) {
  constexpr u32 length = 256;
  alignas(64) u8 panel[length * panel_rows];
  alignas(64) Quant x[tile_tokens * length];
  for (u32 i = 0; i < length * panel_rows; ++i) panel[i] = u8(i % 7);
  for (u32 i = 0; i < tile_tokens * length; ++i) x[i] = Quant(i % 5);
  PanelInts total = {};
  for (u32 round = 0; round < rounds; ++round) {
    x[round % (tile_tokens * length)] = Quant(round % 8);  // another product: the compiler must not keep the last
    for (u32 k = 0; k < length; k += quant_block) {
      PanelInts sums[tile_tokens];
      panel_dot<tile_tokens, quant_block, 0>(panel + k * panel_rows, x + k, length, sums);
      for (u32 t = 0; t < tile_tokens; ++t) total += sums[t];
    }
  }
  volatile i32 sum = 0;  // all of it is used
  for (u32 row = 0; row < panel_rows; ++row) sum = sum + total[row];
  return u64(rounds) * length * panel_rows * tile_tokens;
}
