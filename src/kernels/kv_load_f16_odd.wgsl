// Rows of an odd number of groups of four: no multiple of sixteen bytes.
alias CACHE_Cell = vec2<u32>;

fn CACHE_four(at: u32) -> vec4<f32> {
  let cell = CACHE_cache[at];
  return vec4<f32>(unpack2x16float(cell.x), unpack2x16float(cell.y));
}

fn CACHE_pair(row: u32, pair: u32) -> Pair {
  let at = row * CACHE_FOURS + 2u * pair;
  if (2u * pair + 1u == CACHE_FOURS) {
    return Pair(CACHE_four(at), vec4<f32>());
  }
  return Pair(CACHE_four(at), CACHE_four(at + 1u));
}
