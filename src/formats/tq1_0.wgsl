// n up to 4: halves of 3ⁿ, rounded down, lie six bits apart.
fn power_of_three(n: u32) -> u32 {
  return (((0x28344040u >> (6u * n)) & 63u) << 1u) | 1u;
}

const GROUP = 32u;  // see products.wgsl

// The same t of four bytes, each the upper byte of one of four numbers of 16 bits: those of bytes 0 and 2, then of 1 and 3.
fn tripled(word: u32, power: u32) -> vec2<u32> {
  let bytes = vec2<u32>(word, word >> 8u) & vec2<u32>(0x00ff00ffu);
  return ((bytes * power) & vec2<u32>(0x00ff00ffu)) * 3u;
}

fn trits_of_bytes(word: u32, power: u32) -> vec4<f32> {
  let t = tripled(word, power);
  return vec4<f32>(vec4<u32>((t.x >> 8u) & 255u, (t.y >> 8u) & 255u, t.x >> 24u, t.y >> 24u));
}

// Words with five trits a byte, and behind them one with four.
fn load8(unit: u32) -> Eight {
  let block = unit >> 5u;
  let u = unit & 31u;
  let wide = u < 20u;
  var at = vec2<u32>(12u * block + 2u * select(4u + (u & 1u), u & 3u, wide)) + vec2<u32>(0u, 1u);
  var powers = vec2<u32>(power_of_three(select((u - 20u) >> 1u, u >> 2u, wide)));
  if (u >= 30u) {
    at = vec2<u32>(params.plane1 + block);
    powers = select(vec2<u32>(9u, 27u), vec2<u32>(1u, 3u), u == 30u);
  }
  let d = half_at(params.plane2, block);
  return Eight(d * trits_of_bytes(weights1[at.x], powers.x) - d, d * trits_of_bytes(weights1[at.y], powers.y) - d);
}

// Eight words with four trits each of 32 weights: the first four with one power of three, then each with its own.
struct Trits {
  first: vec4<u32>,
  last: vec4<u32>,
  power: u32,
  powers: vec4<u32>,
}

// Five times eight words, five times four, and four times the last word: each time the next power.
fn trits_of(unit: u32) -> Trits {
  let block = unit >> 5u;
  let first = unit & 31u;
  let wide = first < 20u;
  let a = weights4[3u * block + select(2u, 0u, wide)];
  var b = weights4[3u * block + select(2u, 1u, wide)];
  let power = power_of_three(select((first - 20u) >> 1u, first >> 2u, wide));
  var powers = vec4<u32>(select(3u * power, power, wide));
  if (first == 28u) {
    b = vec4<u32>(weights1[params.plane1 + block]);
    powers = vec4<u32>(1u, 3u, 9u, 27u);
  }
  return Trits(a, b, power, powers);
}

fn load32(row: u32, u: u32) -> Block {
  let t = trits_of(row + u);
  let d = half_at(params.plane2, (row + u) >> 5u);
  return Block(array<vec4<f32>, 8>(trits_of_bytes(t.first.x, t.power), trits_of_bytes(t.first.y, t.power),
                                   trits_of_bytes(t.first.z, t.power), trits_of_bytes(t.first.w, t.power),
                                   trits_of_bytes(t.last.x, t.powers.x), trits_of_bytes(t.last.y, t.powers.y),
                                   trits_of_bytes(t.last.z, t.powers.z), trits_of_bytes(t.last.w, t.powers.w)),
               vec2<f32>(d), vec2<f32>(-d));
}

const ZERO = 1.0;

fn bytes_of_trits(word: u32, power: u32) -> u32 {
  let t = tripled(word, power);
  return ((t.x >> 8u) & 0x00ff00ffu) | (t.y & 0xff00ff00u);
}

fn load_bytes(row: u32, n: u32) -> Bytes {
  let t = trits_of(4u * (row + n));
  return Bytes(vec4<u32>(bytes_of_trits(t.first.x, t.power), bytes_of_trits(t.first.z, t.power),
                         bytes_of_trits(t.last.x, t.powers.x), bytes_of_trits(t.last.z, t.powers.z)),
               vec4<u32>(bytes_of_trits(t.first.y, t.power), bytes_of_trits(t.first.w, t.power),
                         bytes_of_trits(t.last.y, t.powers.y), bytes_of_trits(t.last.w, t.powers.w)),
               vec2<f32>(half_at(params.plane2, (row + n) >> 3u)), vec2<f32>());
}
