alias CACHE_Cell = vec4<f32>;

fn CACHE_load(row: u32, four: u32) -> vec4<f32> {
  return CACHE_cache[row * CACHE_FOURS + four];
}
