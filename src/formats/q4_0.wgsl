fn load8(unit: u32) -> Eight {
  let d = half_at(params.plane1, unit >> 2u);
  let word = weights1[unit];
  let lo = unsigned_bytes(word & 0x0f0f0f0fu);
  let hi = unsigned_bytes((word >> 4u) & 0x0f0f0f0fu);
  return Eight(d * lo - 8.0 * d, d * hi - 8.0 * d);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 8.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let words = weights4[block];
  let d = half_at(params.plane1, block);
  return Bytes(lower_nibbles(words), upper_nibbles(words), vec2<f32>(d), vec2<f32>());
}
