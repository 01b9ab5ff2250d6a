alias CACHE_Cell = u32;

// The scale of the block that a group of four belongs to: the number furthest from zero becomes −8.
fn CACHE_scale(four: u32) -> f32 {
  var furthest = 0.0;
  let first = four - four % CACHE_BLOCK;
  for (var i = first; i < min(first + CACHE_BLOCK, CACHE_FOURS); i++) {
    let v = results[i];
    furthest = select(furthest, v.x, abs(v.x) > abs(furthest));
    furthest = select(furthest, v.y, abs(v.y) > abs(furthest));
    furthest = select(furthest, v.z, abs(v.z) > abs(furthest));
    furthest = select(furthest, v.w, abs(v.w) > abs(furthest));
  }
  return furthest / -8.0;
}

fn CACHE_nibbles(four: u32) -> u32 {
  if (four >= CACHE_FOURS) {
    return 0u;
  }
  let scale = CACHE_scale(four);
  let n = min(vec4<u32>(results[four] * select(0.0, 1.0 / scale, scale != 0.0) + 8.5), vec4<u32>(15u));
  return n.x | (n.y << 4u) | (n.z << 8u) | (n.w << 12u);
}

fn CACHE_store(row: u32, four: u32) {
  let words = (CACHE_FOURS + 1u) / 2u;
  let base = row * (words + (CACHE_FOURS + 2u * CACHE_BLOCK - 1u) / (2u * CACHE_BLOCK));
  if ((four & 1u) == 0u) {
    CACHE_cache[base + (four >> 1u)] = CACHE_nibbles(four) | (CACHE_nibbles(four + 1u) << 16u);
  }
  if (four % (2u * CACHE_BLOCK) == 0u) {
    CACHE_cache[base + words + four / (2u * CACHE_BLOCK)] = pack2x16float(vec2<f32>(CACHE_scale(four), CACHE_scale(four + CACHE_BLOCK)));
  }
}
