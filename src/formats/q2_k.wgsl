fn load8(unit: u32) -> Eight {
  let both = weights1[params.plane2 + (unit >> 5u)];
  let group = weights1[params.plane1 + (unit >> 3u)] >> (((unit >> 1u) & 3u) * 8u);
  let scale = half_to_float(both) * f32(group & 15u);
  let offset = upper_half(both) * f32((group >> 4u) & 15u);
  let word = weights1[unit >> 1u] >> ((unit & 1u) * 4u);
  let lo = unsigned_bytes(word & 0x03030303u);
  let hi = unsigned_bytes((word >> 2u) & 0x03030303u);
  return Eight(scale * lo - offset, scale * hi - offset);
}

const GROUP = 16u;  // see products.wgsl
const ZERO = 0.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let both = weights1[params.plane2 + (block >> 3u)];
  let groups = weights1[params.plane1 + (block >> 1u)] >> ((n & 1u) * 16u);
  let scale = half_to_float(both) * vec2<f32>(f32(groups & 15u), f32((groups >> 8u) & 15u));
  let offset = upper_half(both) * vec2<f32>(f32((groups >> 4u) & 15u), f32((groups >> 12u) & 15u));
  let words = pairs_of_bits(weights1[2u * block], weights1[2u * block + 1u]);
  let lo = words & vec4<u32>(0x03030303u);
  let hi = (words >> vec4<u32>(2u)) & vec4<u32>(0x03030303u);
  return Bytes(lo, hi, scale, -offset);
}
