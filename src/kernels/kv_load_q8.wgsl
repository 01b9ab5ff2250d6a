// A row of the cache: first the numbers, four in a word, then the scales, two f16 in a word. A block of CACHE_BLOCK groups of
// four shares a scale.
alias CACHE_Cell = u32;

fn CACHE_load(row: u32, four: u32) -> vec4<f32> {
  let base = row * (CACHE_FOURS + (CACHE_FOURS + 2u * CACHE_BLOCK - 1u) / (2u * CACHE_BLOCK));
  let block = four / CACHE_BLOCK;
  let scales = unpack2x16float(CACHE_cache[base + CACHE_FOURS + block / 2u]);
  let bytes = vec4<u32>(CACHE_cache[base + four]) << vec4<u32>(24u, 16u, 8u, 0u);
  return select(scales.x, scales.y, block % 2u != 0u) * vec4<f32>(vec4<i32>(bytes) >> vec4<u32>(24u));
}
