fn load8(unit: u32) -> Eight {
  let scale = weights1[params.plane1 + (unit >> 2u)];
  let d = half_to_float(scale);
  let m = upper_half(scale);
  let word = weights1[unit];
  let lo = unsigned_bytes(word & 0x0f0f0f0fu);
  let hi = unsigned_bytes((word >> 4u) & 0x0f0f0f0fu);
  return Eight(d * lo + m, d * hi + m);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 0.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let words = weights4[block];
  let scale = weights1[params.plane1 + block];
  return Bytes(lower_nibbles(words), upper_nibbles(words), vec2<f32>(half_to_float(scale)),
               vec2<f32>(upper_half(scale)));
}
