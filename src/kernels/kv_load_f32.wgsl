alias CACHE_Cell = vec4<f32>;

fn CACHE_pair(row: u32, pair: u32) -> Pair {
  let at = row * CACHE_FOURS + 2u * pair;
  if (CACHE_FOURS % 2u == 1u && 2u * pair + 1u == CACHE_FOURS) {
    return Pair(CACHE_cache[at], vec4<f32>());
  }
  return Pair(CACHE_cache[at], CACHE_cache[at + 1u]);
}
