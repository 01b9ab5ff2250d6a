// Coordinates 0, 1, 2 stand for 8, 25, 43.
fn values(c: vec4<f32>) -> vec4<f32> {
  return 8.0 + c * (16.5 + 0.5 * c);
}

fn weights_of(index: u32, signs: u32, scale: f32) -> Eight {
  let c = two_bits(table[index >> 1u] >> ((index & 1u) * 16u));
  return with_signs(Eight(scale * values(c.lo), scale * values(c.hi)), signs);
}

fn load8(unit: u32) -> Eight {
  let code = half_word_at(0u, unit);
  let s = (weights1[params.plane1 + (unit >> 4u)] >> (((unit >> 1u) & 7u) * 4u)) & 15u;
  let scale = half_at(params.plane2, unit >> 5u) * (f32(s) + 0.5) * 0.25;
  return weights_of(code & 511u, eight_signs(code >> 9u), scale);
}
