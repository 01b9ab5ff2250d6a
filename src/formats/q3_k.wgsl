fn load8(unit: u32) -> Eight {
  let block = unit >> 5u;
  let group = (unit >> 1u) & 15u;
  let scales = params.plane2 + 3u * block;
  let lower = (weights1[scales + (group >> 3u)] >> ((group & 7u) * 4u)) & 15u;
  let upper = (weights1[scales + 2u] >> (group * 2u)) & 3u;
  let scale = half_at(params.plane3, block) * (f32(lower | (upper << 4u)) - 32.0);
  let word = weights1[unit >> 1u] >> ((unit & 1u) * 4u);
  let third = weights1[params.plane1 + (unit >> 2u)] >> (((unit & 1u) * 4u) | (~unit & 2u));
  let lo = unsigned_bytes((word & 0x03030303u) | ((third & 0x01010101u) << 2u));
  let hi = unsigned_bytes(((word >> 2u) & 0x03030303u) | ((third & 0x02020202u) << 1u));
  return Eight(scale * lo - 4.0 * scale, scale * hi - 4.0 * scale);
}

const GROUP = 16u;  // see products.wgsl
const ZERO = 4.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let group = (2u * n) & 14u;
  let scales = params.plane2 + 3u * (block >> 3u);
  let nibble = weights1[scales + (group >> 3u)] >> ((group & 7u) * 4u);
  let bits = weights1[scales + 2u] >> (group * 2u);
  let codes = vec2<u32>((nibble & 15u) | ((bits & 3u) << 4u), ((nibble >> 4u) & 15u) | ((bits & 12u) << 2u));
  let d = half_at(params.plane3, block >> 3u);
  let first = weights1[2u * block];
  let last = weights1[2u * block + 1u];
  let third = weights1[params.plane1 + block];
  let nibbles = (vec4<u32>(first, first >> 2u, last, last >> 2u) & vec4<u32>(0x33333333u)) |
                (vec4<u32>(third, third >> 1u, third << 2u, third << 1u) & vec4<u32>(0x44444444u));
  let lower = lower_nibbles(nibbles);
  let upper = upper_nibbles(nibbles);
  return Bytes(vec4<u32>(lower.x, upper.x, lower.z, upper.z), vec4<u32>(lower.y, upper.y, lower.w, upper.w),
               d * vec2<f32>(codes) - 32.0 * d, vec2<f32>());
}
