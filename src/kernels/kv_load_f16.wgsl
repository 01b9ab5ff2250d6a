alias CACHE_Cell = vec2<u32>;

fn CACHE_load(row: u32, four: u32) -> vec4<f32> {
  let cell = CACHE_cache[row * CACHE_FOURS + four];
  return vec4<f32>(unpack2x16float(cell.x), unpack2x16float(cell.y));
}
