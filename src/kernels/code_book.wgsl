// Formats whose weights are four-bit indices of `values`, sixteen signed bytes in four words. Their fragment gives the scales of
// both halves of a block of 32.

fn load8(unit: u32) -> Eight {
  let d = scales_of(unit >> 2u)[(unit >> 1u) & 1u];
  let word = vec4<u32>(weights1[unit]);
  let lo = look_up(values, word >> vec4<u32>(0u, 8u, 16u, 24u));
  let hi = look_up(values, word >> vec4<u32>(4u, 12u, 20u, 28u));
  return Eight(d * lo, d * hi);
}
