const values = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);

fn load8(unit: u32) -> Eight {
  let head = params.plane1 + 2u * (unit >> 5u);
  let group = (unit >> 2u) & 7u;
  let first = weights1[head];
  let scale = ((weights1[head + 1u] >> (4u * group)) & 15u) | (((first >> (16u + 2u * group)) & 3u) << 4u);
  let d = half_to_float(first & 0xffffu) * (f32(scale) - 32.0);
  let word = vec4<u32>(weights1[unit]);
  let lo = look_up(values, word >> vec4<u32>(0u, 8u, 16u, 24u));
  let hi = look_up(values, word >> vec4<u32>(4u, 12u, 20u, 28u));
  return Eight(d * lo, d * hi);
}
