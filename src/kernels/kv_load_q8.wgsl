// A row of the cache: first the numbers, four in a word, then the scales, two f16 in a word. A block of CACHE_BLOCK groups of
// four shares a scale.
alias CACHE_Cell = u32;

fn CACHE_scale(scales: u32, four: u32) -> f32 {
  let block = four / CACHE_BLOCK;
  let two = unpack2x16float(CACHE_cache[scales + block / 2u]);
  return select(two.x, two.y, block % 2u != 0u);
}

fn CACHE_numbers(word: u32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}

fn CACHE_pair(row: u32, pair: u32) -> Pair {
  let base = row * (CACHE_FOURS + (CACHE_FOURS + 2u * CACHE_BLOCK - 1u) / (2u * CACHE_BLOCK));
  let four = 2u * pair;
  let scale = CACHE_scale(base + CACHE_FOURS, four);
  let a = scale * CACHE_numbers(CACHE_cache[base + four]);
  if (CACHE_FOURS % 2u == 1u && four + 1u == CACHE_FOURS) {
    return Pair(a, vec4<f32>());
  }
  var second = scale;
  if (CACHE_BLOCK % 2u != 0u) {
    second = CACHE_scale(base + CACHE_FOURS, four + 1u);
  }
  return Pair(a, second * CACHE_numbers(CACHE_cache[base + four + 1u]));
}
