fn load8(unit: u32) -> Eight {
  let block = unit >> 2u;
  let scale = weights1[params.plane2 + block];
  let d = half_to_float(scale);
  let m = upper_half(scale);
  let word = weights1[unit];
  let fifth = weights1[params.plane1 + block] >> (2u * (unit & 3u));
  let lo = unsigned_bytes((word & 0x0f0f0f0fu) | ((fifth & 0x01010101u) << 4u));
  let hi = unsigned_bytes(((word >> 4u) & 0x0f0f0f0fu) | ((fifth & 0x02020202u) << 3u));
  return Eight(d * lo + m, d * hi + m);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 0.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let scale = weights1[params.plane2 + block];
  return five_bits(weights4[block], weights1[params.plane1 + block], half_to_float(scale), upper_half(scale));
}
