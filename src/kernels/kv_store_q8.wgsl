alias CACHE_Cell = u32;

// The scale of the block that a group of four belongs to.
fn CACHE_scale(four: u32) -> f32 {
  var largest = vec4<f32>();
  let first = four - four % CACHE_BLOCK;
  for (var i = first; i < min(first + CACHE_BLOCK, CACHE_FOURS); i++) {
    largest = max(largest, abs(results[i]));
  }
  return max(max(largest.x, largest.y), max(largest.z, largest.w)) / 127.0;
}

fn CACHE_store(row: u32, four: u32) {
  let base = row * (CACHE_FOURS + (CACHE_FOURS + 2u * CACHE_BLOCK - 1u) / (2u * CACHE_BLOCK));
  let scale = CACHE_scale(four);
  let n = vec4<u32>(vec4<i32>(round(results[four] * select(0.0, 1.0 / scale, scale > 0.0)))) & vec4<u32>(255u);
  CACHE_cache[base + four] = n.x | (n.y << 8u) | (n.z << 16u) | (n.w << 24u);
  if (four % (2u * CACHE_BLOCK) == 0u) {
    CACHE_cache[base + CACHE_FOURS + four / (2u * CACHE_BLOCK)] = pack2x16float(vec2<f32>(scale, CACHE_scale(four + CACHE_BLOCK)));
  }
}
