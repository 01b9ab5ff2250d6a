fn load8(unit: u32) -> Eight {
  let block = unit >> 2u;
  let d = half_at(params.plane2, block);
  let word = weights1[unit];
  let fifth = weights1[params.plane1 + block] >> (2u * (unit & 3u));
  let lo = unsigned_bytes((word & 0x0f0f0f0fu) | ((fifth & 0x01010101u) << 4u));
  let hi = unsigned_bytes(((word >> 4u) & 0x0f0f0f0fu) | ((fifth & 0x02020202u) << 3u));
  return Eight(d * lo - 16.0 * d, d * hi - 16.0 * d);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 16.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let d = half_at(params.plane2, block);
  return five_bits(weights4[block], weights1[params.plane1 + block], d, 0.0);
}
