fn load8(unit: u32) -> Eight {
  let d = half_at(params.plane1, unit >> 5u);
  let q = two_bits(half_word_at(0u, unit));
  return Eight(d * q.lo - d, d * q.hi - d);
}

const GROUP = 32u;  // see products.wgsl

fn load32(row: u32, n: u32) -> Block {
  let block = row + n;
  let d = half_at(params.plane1, block >> 3u);
  return Block(codes_of_two_bits(weights1[2u * block], weights1[2u * block + 1u]), vec2<f32>(d), vec2<f32>(-d));
}

const ZERO = 1.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let block = row + n;
  return codes_as_bytes(weights1[2u * block], weights1[2u * block + 1u], half_at(params.plane1, block >> 3u));
}
