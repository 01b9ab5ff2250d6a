fn load8(unit: u32) -> Eight {
  let both = weights1[params.plane2 + (unit >> 5u)];
  let group = weights1[params.plane1 + (unit >> 3u)] >> (((unit >> 1u) & 3u) * 8u);
  let scale = half_to_float(both & 0xffffu) * f32(group & 15u);
  let offset = half_to_float(both >> 16u) * f32((group >> 4u) & 15u);
  let word = weights1[unit >> 1u] >> ((unit & 1u) * 4u);
  let lo = unsigned_bytes(word & 0x03030303u);
  let hi = unsigned_bytes((word >> 2u) & 0x03030303u);
  return Eight(scale * lo - offset, scale * hi - offset);
}
