fn scale_at(block: u32) -> f32 {
  return bitcast<f32>(half_word_at(params.plane1, block) << 16u);
}

fn load8(unit: u32) -> Eight {
  let d = scale_at(unit >> 2u);
  let word = vec4<u32>(weights1[unit]);
  let lo = vec4<f32>((word >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u));
  let hi = vec4<f32>((word >> vec4<u32>(4u, 12u, 20u, 28u)) & vec4<u32>(15u));
  return Eight(d * lo - 8.0 * d, d * hi - 8.0 * d);
}

const GROUP = 32u;  // see products.wgsl
const ZERO = 8.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let words = weights4[block];
  let d = scale_at(block);
  return Bytes(lower_nibbles(words), upper_nibbles(words), vec2<f32>(d), vec2<f32>());
}
