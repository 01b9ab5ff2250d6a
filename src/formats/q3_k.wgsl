fn load8(unit: u32) -> Eight {
  let block = unit >> 5u;
  let group = (unit >> 1u) & 15u;
  let scales = params.plane2 + 3u * block;
  let lower = (weights1[scales + (group >> 3u)] >> ((group & 7u) * 4u)) & 15u;
  let upper = (weights1[scales + 2u] >> (group * 2u)) & 3u;
  let scale = half_at(params.plane3, block) * (f32(lower | (upper << 4u)) - 32.0);
  let word = weights1[unit >> 1u] >> ((unit & 1u) * 4u);
  let third = weights1[params.plane1 + (unit >> 2u)] >> ((unit & 3u) * 2u);
  let lo = unsigned_bytes((word & 0x03030303u) | ((third & 0x01010101u) << 2u));
  let hi = unsigned_bytes(((word >> 2u) & 0x03030303u) | ((third & 0x02020202u) << 1u));
  return Eight(scale * (lo - 4.0), scale * (hi - 4.0));
}
