const values = vec4<u32>(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

// Half of an unsigned E4M3.
fn half_scale(bits: u32) -> f32 {
  let normal = bitcast<f32>((bits << 20u) + (119u << 23u));
  let value = select(normal, f32(bits) * 0x1p-10, bits < 8u);
  return select(value, 0.0, bits == 127u);
}

fn load8(unit: u32) -> Eight {
  let bits = weights1[params.plane1 + (unit >> 3u)] >> (((unit >> 1u) & 3u) * 8u);
  let d = half_scale(bits & 127u);
  let word = vec4<u32>(weights1[unit]);
  let lo = look_up(values, word >> vec4<u32>(0u, 8u, 16u, 24u));
  let hi = look_up(values, word >> vec4<u32>(4u, 12u, 20u, 28u));
  return Eight(d * lo, d * hi);
}
