fn load8(unit: u32) -> Eight {
  let head = weights4[(params.plane1 >> 2u) + (unit >> 5u)];
  let group = (unit >> 2u) & 7u;
  let lower = select(head.y, head.z, group >= 4u) >> ((group & 3u) * 8u);
  let upper = head.w >> (group * 4u);
  let scale = half_to_float(head.x & 0xffffu) * f32((lower & 15u) | ((upper & 3u) << 4u));
  let offset = half_to_float(head.x >> 16u) * f32(((lower >> 4u) & 15u) | ((upper & 12u) << 2u));
  let word = weights1[unit];
  let lo = unsigned_bytes(word & 0x0f0f0f0fu);
  let hi = unsigned_bytes((word >> 4u) & 0x0f0f0f0fu);
  return Eight(scale * lo - offset, scale * hi - offset);
}
