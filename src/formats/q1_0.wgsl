fn load8(unit: u32) -> Eight {
  let d = vec4<f32>(half_at(params.plane1, unit >> 4u));
  return with_signs(Eight(d, d), ~byte_at(0u, unit));
}

const GROUP = 32u;  // see products.wgsl

// Bit i of all bytes at once.
fn bit_of_bytes(word: u32, i: u32) -> vec4<f32> {
  return unsigned_bytes((word >> i) & 0x01010101u);
}

fn load32(row: u32, n: u32) -> Block {
  let block = row + n;
  let word = weights1[block];
  let lo = transpose(mat4x4<f32>(bit_of_bytes(word, 0u), bit_of_bytes(word, 1u), bit_of_bytes(word, 2u), bit_of_bytes(word, 3u)));
  let hi = transpose(mat4x4<f32>(bit_of_bytes(word, 4u), bit_of_bytes(word, 5u), bit_of_bytes(word, 6u), bit_of_bytes(word, 7u)));
  let d = half_at(params.plane1, block >> 2u);
  return Block(array<vec4<f32>, 8>(lo[0], hi[0], lo[1], hi[1], lo[2], hi[2], lo[3], hi[3]), vec2<f32>(2.0 * d), vec2<f32>(-d));
}

const ZERO = 0.0;

// The lowest four bits as bytes.
fn bytes_of_bits(word: u32) -> u32 {
  return ((word & 15u) * 0x00204081u) & 0x01010101u;
}

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  let word = weights1[block];
  let d = half_at(params.plane1, block >> 2u);
  return Bytes(vec4<u32>(bytes_of_bits(word), bytes_of_bits(word >> 8u), bytes_of_bits(word >> 16u), bytes_of_bits(word >> 24u)),
               vec4<u32>(bytes_of_bits(word >> 4u), bytes_of_bits(word >> 12u), bytes_of_bits(word >> 20u), bytes_of_bits(word >> 28u)),
               vec2<f32>(2.0 * d), vec2<f32>(-d));
}
