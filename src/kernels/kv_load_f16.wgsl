alias CACHE_Cell = vec4<u32>;

fn CACHE_pair(row: u32, pair: u32) -> Pair {
  let cell = CACHE_cache[row * (CACHE_FOURS / 2u) + pair];
  return Pair(vec4<f32>(unpack2x16float(cell.x), unpack2x16float(cell.y)),
              vec4<f32>(unpack2x16float(cell.z), unpack2x16float(cell.w)));
}
