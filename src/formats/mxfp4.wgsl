const values = vec4<u32>(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

fn load8(unit: u32) -> Eight {
  let d = bitcast<f32>((max(byte_at(params.plane1, unit >> 2u), 1u) - 1u) << 23u);
  let word = vec4<u32>(weights1[unit]);
  let lo = look_up(values, word >> vec4<u32>(0u, 8u, 16u, 24u));
  let hi = look_up(values, word >> vec4<u32>(4u, 12u, 20u, 28u));
  return Eight(d * lo, d * hi);
}
