alias CACHE_Cell = vec2<u32>;

fn CACHE_store(row: u32, four: u32) {
  let v = results[four];
  CACHE_cache[row * CACHE_FOURS + four] = vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
}
