fn point(index: u32) -> vec4<f32> {
  let word = vec4<u32>(table[index >> 1u] >> ((index & 1u) * 16u));
  return vec4<f32>((word >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
}

// Coordinates 0 to 6 stand for 4, 12 and so on up to 52, but 7 for 62.
fn values(c: vec4<f32>) -> vec4<f32> {
  return 4.0 + 8.0 * c + 2.0 * step(vec4<f32>(7.0), c);
}

fn load8(unit: u32) -> Eight {
  let codes = half_word_at(0u, unit);
  let group = weights1[params.plane1 + (unit >> 2u)];
  let scale = half_at(params.plane2, unit >> 5u) * (f32(group >> 28u) + 0.5) * 0.5;
  let lo = values(point(codes & 255u));
  let hi = values(point(codes >> 8u));
  return with_signs(Eight(scale * lo, scale * hi), eight_signs((group >> (7u * (unit & 3u))) & 127u));
}
