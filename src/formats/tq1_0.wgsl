// The same t of four bytes; power is 3^n for the n-th.
fn four_trits(word: u32, power: u32) -> vec4<f32> {
  let bytes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) * vec4<u32>(power);
  return vec4<f32>(((bytes & vec4<u32>(255u)) * vec4<u32>(3u)) >> vec4<u32>(8u)) - 1.0;
}

fn power_of_three(n: u32) -> u32 {
  return select((0x1b090301u >> (8u * n)) & 255u, 81u, n == 4u);
}

fn load8(unit: u32) -> Eight {
  let block = unit >> 5u;
  let u = unit & 31u;
  let d = half_at(params.plane2, block);
  if (u >= 30u) {
    let word = weights1[params.plane1 + block];
    let n = 2u * (u - 30u);
    return Eight(d * four_trits(word, power_of_three(n)), d * four_trits(word, power_of_three(n + 1u)));
  }
  let wide = u < 20u;
  let at = 12u * block + 2u * select(4u + (u & 1u), u & 3u, wide);
  let power = power_of_three(select((u - 20u) >> 1u, u >> 2u, wide));
  return Eight(d * four_trits(weights1[at], power), d * four_trits(weights1[at + 1u], power));
}
