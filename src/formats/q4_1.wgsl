fn load8(unit: u32) -> Eight {
  let scale = weights1[params.plane1 + (unit >> 2u)];
  let d = half_to_float(scale & 0xffffu);
  let m = half_to_float(scale >> 16u);
  let word = weights1[unit];
  let lo = unsigned_bytes(word & 0x0f0f0f0fu);
  let hi = unsigned_bytes((word >> 4u) & 0x0f0f0f0fu);
  return Eight(d * lo + m, d * hi + m);
}
