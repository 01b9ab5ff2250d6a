fn load8(unit: u32) -> Eight {
  let d = half_at(params.plane1, unit >> 5u);
  let q = two_bits(half_word_at(0u, unit));
  return Eight(d * (q.lo - 1.0), d * (q.hi - 1.0));
}
