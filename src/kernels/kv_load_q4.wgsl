// A row of the cache: first the numbers, eight in a word (two groups of four), then the scales, two f16 in a word. A block
// of CACHE_BLOCK groups of four shares a scale; a nibble n stands for (n − 8) · scale.
alias CACHE_Cell = u32;

const CACHE_WORDS = (CACHE_FOURS + 1u) / 2u;

fn CACHE_scale(scales: u32, four: u32) -> f32 {
  let block = four / CACHE_BLOCK;
  let two = unpack2x16float(CACHE_cache[scales + block / 2u]);
  return select(two.x, two.y, block % 2u != 0u);
}

fn CACHE_numbers(bits: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(bits) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u)) - 8.0;
}

fn CACHE_pair(row: u32, pair: u32) -> Pair {
  let base = row * (CACHE_WORDS + (CACHE_FOURS + 2u * CACHE_BLOCK - 1u) / (2u * CACHE_BLOCK));
  let word = CACHE_cache[base + pair];
  let scale = CACHE_scale(base + CACHE_WORDS, 2u * pair);
  let a = scale * CACHE_numbers(word);
  if (CACHE_FOURS % 2u == 1u && 2u * pair + 1u == CACHE_FOURS) {
    return Pair(a, vec4<f32>());
  }
  var second = scale;
  if (CACHE_BLOCK % 2u != 0u) {
    second = CACHE_scale(base + CACHE_WORDS, 2u * pair + 1u);
  }
  return Pair(a, second * CACHE_numbers(word >> 16u));
}
