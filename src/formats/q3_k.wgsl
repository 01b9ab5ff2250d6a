fn load8(unit: u32) -> Eight {
  let block = unit >> 5u;
  let group = (unit >> 1u) & 15u;
  let scales = params.plane2 + 3u * block;
  let lower = (weights1[scales + (group >> 3u)] >> ((group & 7u) * 4u)) & 15u;
  let upper = (weights1[scales + 2u] >> (group * 2u)) & 3u;
  let scale = half_at(params.plane3, block) * (f32(lower | (upper << 4u)) - 32.0);
  let word = weights1[unit >> 1u] >> ((unit & 1u) * 4u);
  let third = weights1[params.plane1 + (unit >> 2u)] >> ((unit & 3u) * 2u);
  let lo = unsigned_bytes((word & 0x03030303u) | ((third & 0x01010101u) << 2u));
  let hi = unsigned_bytes(((word >> 2u) & 0x03030303u) | ((third & 0x02020202u) << 1u));
  return Eight(scale * (lo - 4.0), scale * (hi - 4.0));
}

const GROUP = 16u;  // see products.wgsl
const ZERO = 4.0;

fn load_bytes(row: u32, u: u32) -> Bytes {
  let block = (row + u) >> 2u;
  let group = (u >> 1u) & 14u;
  let scales = params.plane2 + 3u * (block >> 3u);
  let lower = weights1[scales + (group >> 3u)] >> ((group & 7u) * 4u);
  let upper = weights1[scales + 2u] >> (group * 2u);
  let codes = vec2<u32>((lower & 15u) | ((upper & 3u) << 4u), ((lower >> 4u) & 15u) | ((upper & 12u) << 2u));
  let scale = half_at(params.plane3, block >> 3u) * (vec2<f32>(codes) - 32.0);
  let words = pairs_of_bits(weights1[2u * block], weights1[2u * block + 1u]);
  let third = weights1[params.plane1 + block];
  let lo = (words & vec4<u32>(0x03030303u)) | (vec4<u32>(third << 2u, third, third >> 2u, third >> 4u) & vec4<u32>(0x04040404u));
  let hi = ((words >> vec4<u32>(2u)) & vec4<u32>(0x03030303u)) |
           (vec4<u32>(third << 1u, third >> 1u, third >> 3u, third >> 5u) & vec4<u32>(0x04040404u));
  return Bytes(lo, hi, scale, vec2<f32>());
}
