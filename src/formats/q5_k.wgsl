// Scale and offset of a group of 32; `block` holds eight.
fn scale_of(block: u32, group: u32) -> vec2<f32> {
  let head = weights4[(params.plane1 >> 2u) + block];
  let lower = select(head.y, head.z, group >= 4u) >> ((group & 3u) * 8u);
  let upper = head.w >> (group * 4u);
  let scale = (lower & 15u) | ((upper & 3u) << 4u);
  let offset = ((lower >> 4u) & 15u) | ((upper & 12u) << 2u);
  return vec2<f32>(half_to_float(head.x) * f32(scale), upper_half(head.x) * f32(offset));
}

fn load8(unit: u32) -> Eight {
  let s = scale_of(unit >> 5u, (unit >> 2u) & 7u);
  let word = weights1[unit];
  let fifth = weights1[params.plane2 + (unit >> 2u)] >> ((unit & 3u) * 2u);
  let lo = unsigned_bytes((word & 0x0f0f0f0fu) | ((fifth & 0x01010101u) << 4u));
  let hi = unsigned_bytes(((word >> 4u) & 0x0f0f0f0fu) | ((fifth & 0x02020202u) << 3u));
  return Eight(s.x * lo - s.y, s.x * hi - s.y);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 0.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let s = scale_of((row + n) >> 3u, n & 7u);
  let block = row + n;
  return five_bits(weights4[block], weights1[params.plane2 + block], s.x, -s.y);
}
