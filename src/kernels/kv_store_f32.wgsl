alias CACHE_Cell = vec4<f32>;

fn CACHE_store(row: u32, four: u32) {
  CACHE_cache[row * CACHE_FOURS + four] = results[four];
}
