fn load8(unit: u32) -> Eight {
  let group = weights1[params.plane2 + (unit >> 3u)] << ((3u - ((unit >> 1u) & 3u)) * 8u);
  let scale = half_at(params.plane3, unit >> 5u) * f32(bitcast<i32>(group) >> 24u);
  let word = weights1[unit];
  let upper = weights1[params.plane1 + (unit >> 1u)] >> ((unit & 1u) * 4u);
  let lo = unsigned_bytes((word & 0x0f0f0f0fu) | ((upper & 0x03030303u) << 4u));
  let hi = unsigned_bytes(((word >> 4u) & 0x0f0f0f0fu) | ((upper & 0x0c0c0c0cu) << 2u));
  return Eight(scale * (lo - 32.0), scale * (hi - 32.0));
}
