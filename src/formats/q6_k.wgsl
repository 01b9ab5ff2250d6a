fn load8(unit: u32) -> Eight {
  let group = weights1[params.plane2 + (unit >> 3u)] << ((3u - ((unit >> 1u) & 3u)) * 8u);
  let scale = half_at(params.plane3, unit >> 5u) * f32(bitcast<i32>(group) >> 24u);
  let word = weights1[unit];
  let upper = weights1[params.plane1 + (unit >> 1u)] >> ((unit & 1u) * 4u);
  let lo = unsigned_bytes((word & 0x0f0f0f0fu) | ((upper & 0x03030303u) << 4u));
  let hi = unsigned_bytes(((word >> 4u) & 0x0f0f0f0fu) | ((upper & 0x0c0c0c0cu) << 2u));
  return Eight(scale * lo - 32.0 * scale, scale * hi - 32.0 * scale);
}

const GROUP = 16u;  // see products.wgsl
const ZERO = 32.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let groups = bitcast<i32>(weights1[params.plane2 + (block >> 1u)]);
  let at = (n & 1u) * 16u;
  let codes = vec2<i32>(groups << (24u - at), groups << (16u - at)) >> vec2<u32>(24u);
  let s = half_at(params.plane3, block >> 3u) * vec2<f32>(codes);
  let words = weights4[block];
  let bits = params.plane1 + 2u * block;
  let first = weights1[bits];
  let last = weights1[bits + 1u];
  let lo = lower_nibbles(words) | (vec4<u32>(first << 4u, first, last << 4u, last) & vec4<u32>(0x30303030u));
  let hi = upper_nibbles(words) | (vec4<u32>(first << 2u, first >> 2u, last << 2u, last >> 2u) & vec4<u32>(0x30303030u));
  return Bytes(lo, hi, s, vec2<f32>());
}
