fn load8(unit: u32) -> Eight {
  let scale = weights1[params.plane1 + (unit >> 2u)];
  let d = half_to_float(scale & 0xffffu);
  let m = half_to_float(scale >> 16u);
  let word = weights1[unit];
  let lo = unsigned_bytes(word & 0x0f0f0f0fu);
  let hi = unsigned_bytes((word >> 4u) & 0x0f0f0f0fu);
  return Eight(d * lo + m, d * hi + m);
}

const GROUP = 32u;  // see products.wgsl

fn load32(row: u32, u: u32) -> Block {
  let block = (row + u) >> 2u;
  let words = weights4[block];
  let scale = weights1[params.plane1 + block];
  return Block(bytes32(lower_nibbles(words), upper_nibbles(words)), vec2<f32>(half_to_float(scale & 0xffffu)),
               vec2<f32>(half_to_float(scale >> 16u)));
}
