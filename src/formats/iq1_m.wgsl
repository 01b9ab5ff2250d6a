fn point(index: u32) -> Eight {
  return two_bits(table[index >> 1u] >> ((index & 1u) * 16u));
}

fn load8(unit: u32) -> Eight {
  let at = params.plane2 + 2u * (unit >> 5u);
  let first = weights1[at];
  let second = weights1[at + 1u];
  let d = ((first >> 12u) & 15u) | ((first >> 24u) & 0xf0u) | ((second >> 4u) & 0xf00u) | ((second >> 16u) & 0xf000u);
  let scales = select(first, second, (unit & 16u) != 0u) >> ((unit & 8u) * 2u + ((unit >> 1u) & 3u) * 3u);
  let scale = half_to_float(d) * f32(2u * (scales & 7u) + 1u);
  let nibble = weights1[params.plane1 + (unit >> 3u)] >> ((unit & 7u) * 4u);
  let shift = select(-0.875, -1.125, (nibble & 8u) != 0u);
  let c = point(byte_at(0u, unit) | ((nibble & 7u) << 8u));
  return Eight(scale * (c.lo + shift), scale * (c.hi + shift));
}
