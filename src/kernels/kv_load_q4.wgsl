// A row of the cache: first the numbers, eight in a word (two groups of four), then the scales, two f16 in a word. A block
// of CACHE_BLOCK groups of four shares a scale; a nibble n stands for (n − 8) · scale.
alias CACHE_Cell = u32;

fn CACHE_load(row: u32, four: u32) -> vec4<f32> {
  let words = (CACHE_FOURS + 1u) / 2u;
  let base = row * (words + (CACHE_FOURS + 2u * CACHE_BLOCK - 1u) / (2u * CACHE_BLOCK));
  let block = four / CACHE_BLOCK;
  let scales = unpack2x16float(CACHE_cache[base + words + block / 2u]);
  let nibbles = (vec4<u32>(CACHE_cache[base + (four >> 1u)] >> (16u * (four & 1u))) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
  return select(scales.x, scales.y, block % 2u != 0u) * (vec4<f32>(nibbles) - 8.0);
}
