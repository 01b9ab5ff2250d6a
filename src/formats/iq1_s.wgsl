fn point(index: u32) -> Eight {
  return two_bits(table[index >> 1u] >> ((index & 1u) * 16u));
}

fn load8(unit: u32) -> Eight {
  let group = half_word_at(params.plane1, unit >> 2u);
  let scale = half_at(params.plane2, unit >> 5u) * f32(2u * ((group >> 12u) & 7u) + 1u);
  let shift = select(-0.875, -1.125, (group & 0x8000u) != 0u);
  let c = point(byte_at(0u, unit) | (((group >> (3u * (unit & 3u))) & 7u) << 8u));
  return Eight(scale * (c.lo + shift), scale * (c.hi + shift));
}
