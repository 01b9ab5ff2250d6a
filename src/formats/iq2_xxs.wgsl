// Coordinates 0, 1, 2 stand for 8, 25, 43.
fn values(c: vec4<f32>) -> vec4<f32> {
  return 8.0 + c * (16.5 + 0.5 * c);
}

fn weights_of(index: u32, signs: u32, scale: f32) -> Eight {
  let c = two_bits(table[index >> 1u] >> ((index & 1u) * 16u));
  return with_signs(Eight(scale * values(c.lo), scale * values(c.hi)), signs);
}

fn load8(unit: u32) -> Eight {
  let at = 2u * (unit >> 2u);
  let part = unit & 3u;
  let group = weights1[at + 1u];
  let scale = half_at(params.plane1, unit >> 5u) * (f32(group >> 28u) + 0.5) * 0.25;
  return weights_of((weights1[at] >> (8u * part)) & 255u, eight_signs((group >> (7u * part)) & 127u), scale);
}
