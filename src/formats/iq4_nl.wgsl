const values = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);

fn load8(unit: u32) -> Eight {
  let d = half_at(params.plane1, unit >> 2u);
  let word = vec4<u32>(weights1[unit]);
  let lo = look_up(values, word >> vec4<u32>(0u, 8u, 16u, 24u));
  let hi = look_up(values, word >> vec4<u32>(4u, 12u, 20u, 28u));
  return Eight(d * lo, d * hi);
}
