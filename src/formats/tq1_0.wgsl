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

const GROUP = 32u;  // see products.wgsl

// The same t of four bytes: the second byte of three times power times each, modulo 256.
fn trits_of_bytes(word: u32, power: u32) -> vec4<f32> {
  let even = (((word & 0x00ff00ffu) * power) & 0x00ff00ffu) * 3u;
  let odd = ((((word >> 8u) & 0x00ff00ffu) * power) & 0x00ff00ffu) * 3u;
  return vec4<f32>(vec4<u32>((even >> 8u) & 255u, (odd >> 8u) & 255u, even >> 24u, odd >> 24u));
}

// Five times eight words, five times four, and four times the last word: each time the next power.
fn load32(row: u32, u: u32) -> Block {
  let block = (row + u) >> 5u;
  let first = (row + u) & 31u;
  let wide = first < 20u;
  let a = weights4[3u * block + select(2u, 0u, wide)];
  var b = weights4[3u * block + select(2u, 1u, wide)];
  let power = power_of_three(select((first - 20u) >> 1u, first >> 2u, wide));
  var powers = vec4<u32>(select(3u * power, power, wide));
  if (first == 28u) {
    b = vec4<u32>(weights1[params.plane1 + block]);
    powers = vec4<u32>(1u, 3u, 9u, 27u);
  }
  let d = half_at(params.plane2, block);
  return Block(array<vec4<f32>, 8>(trits_of_bytes(a.x, power), trits_of_bytes(a.y, power), trits_of_bytes(a.z, power),
                                   trits_of_bytes(a.w, power), trits_of_bytes(b.x, powers.x), trits_of_bytes(b.y, powers.y),
                                   trits_of_bytes(b.z, powers.z), trits_of_bytes(b.w, powers.w)),
               vec2<f32>(d), vec2<f32>(-d));
}
