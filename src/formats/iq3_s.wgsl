fn point(index: u32) -> vec4<f32> {
  let word = vec4<u32>(table[index >> 1u] >> ((index & 1u) * 16u));
  return vec4<f32>((word >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u));
}

fn load8(unit: u32) -> Eight {
  let codes = half_word_at(0u, unit);
  let head = params.plane2 + 3u * (unit >> 5u);
  let upper = weights1[head + ((unit >> 4u) & 1u)] >> ((unit & 15u) * 2u);
  let s = (weights1[head + 2u] >> (unit & 28u)) & 15u;
  let scale = half_at(params.plane3, unit >> 5u) * f32(2u * s + 1u);
  let lo = 2.0 * point((codes & 255u) | ((upper & 1u) << 8u)) + 1.0;
  let hi = 2.0 * point((codes >> 8u) | ((upper & 2u) << 7u)) + 1.0;
  return with_signs(Eight(scale * lo, scale * hi), byte_at(params.plane1, unit));
}
