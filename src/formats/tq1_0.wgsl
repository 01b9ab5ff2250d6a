// Words hold two numbers of 16 bits. Of a byte, which is a fraction of 256, three times as much has the next t above bit 8, and
// below it what is left for those behind it.
fn two_bytes(word: u32) -> u32 {
  return word & 0x00ff00ffu;
}

// Bytes 0 and 2, then 1 and 3.
fn four_bytes_of(word: u32) -> vec2<u32> {
  return vec2<u32>(two_bytes(word), two_bytes(word >> 8u));
}

// Bytes 0 and 1, as often.
fn bytes_of_half(half: u32) -> vec2<u32> {
  return vec2<u32>(two_bytes(half | (half << 8u)));
}

// What weights 29 and 31 have in place of a t at bit 8.
fn last_codes(unit: u32) -> u32 {
  let bits = weights1[params.plane2 + (unit >> 5u)] >> (unit & 28u);
  return ((bits & 3u) << 8u) | ((bits & 12u) << 22u);
}

fn four_trits(t: vec2<u32>) -> vec4<f32> {
  return vec4<f32>(vec4<u32>((t.x >> 8u) & 255u, (t.y >> 8u) & 255u, t.x >> 24u, t.y >> 24u));
}

// The powers of three for each quarter of 32 weights: first those of the first four.
fn load8(unit: u32) -> Eight {
  let block = unit >> 2u;
  let quarter = unit & 3u;
  let four = four_bytes_of(weights1[block]);
  let two = bytes_of_half(half_word_at(params.plane1, block));
  let shift = vec2<u32>(8u * quarter);
  let lo = select(two, four, quarter < 3u) * ((vec2<u32>(0x09510901u, 0x1b510901u) >> shift) & vec2<u32>(255u));
  let hi = select(two, four, quarter < 2u) * ((vec2<u32>(0x51011b03u, 0x00031b03u) >> shift) & vec2<u32>(255u));
  let first = 3u * (lo & vec2<u32>(0x00ff00ffu));
  var last = 3u * (hi & vec2<u32>(0x00ff00ffu));
  if (quarter == 3u) {
    last.y = last_codes(unit);
  }
  let d = half_at(params.plane3, block >> 3u);
  return Eight(d * four_trits(first) - d, d * four_trits(last) - d);
}

const GROUP = 32u;  // see products.wgsl

struct Trits {
  first: array<vec2<u32>, 5>,  // of weights 4 n on
  last: array<u32, 6>,         // of weights 20 and 22, 21 and 23, 24 and 26 and so on
}

fn trits_of(block: u32) -> Trits {
  var t: Trits;
  var four = four_bytes_of(weights1[block]);
  var two = bytes_of_half(half_word_at(params.plane1, block)).x;
  for (var n = 0u; n < 5u; n++) {
    t.first[n] = 3u * four;
    t.last[n] = 3u * two;
    four = t.first[n] & vec2<u32>(0x00ff00ffu);
    two = two_bytes(t.last[n]);
  }
  t.last[5] = last_codes(4u * block);
  return t;
}

// 1 + t / 4 of both numbers, whose bits 8 and 9 are the first of a half's mantissa.
fn halves_of_trits(t: u32) -> vec2<f32> {
  return unpack2x16float((t & 0x03000300u) | 0x3c003c00u);
}

fn floats_of_trits(t: vec2<u32>) -> vec4<f32> {
  if (BY_HALVES) {
    let a = halves_of_trits(t.x);
    let b = halves_of_trits(t.y);
    return vec4<f32>(a.x, b.x, a.y, b.y);
  }
  return four_trits(t);
}

fn load32(row: u32, n: u32) -> Block {
  let t = trits_of(row + n);
  let d = half_at(params.plane3, (row + n) >> 3u);
  return Block(array<vec4<f32>, 8>(floats_of_trits(t.first[0]), floats_of_trits(t.first[1]), floats_of_trits(t.first[2]),
                                   floats_of_trits(t.first[3]), floats_of_trits(t.first[4]), floats_of_trits(vec2<u32>(t.last[0], t.last[1])),
                                   floats_of_trits(vec2<u32>(t.last[2], t.last[3])), floats_of_trits(vec2<u32>(t.last[4], t.last[5]))),
               vec2<f32>(select(1.0, 4.0, BY_HALVES) * d), vec2<f32>(select(-1.0, -5.0, BY_HALVES) * d));
}

const ZERO = 1.0;

fn four_bytes_of_trits(t: vec2<u32>) -> u32 {
  return ((t.x >> 8u) & 0x00030003u) | (t.y & 0x03000300u);
}

fn load_bytes(row: u32, n: u32) -> Bytes {
  let t = trits_of(row + n);
  return Bytes(vec4<u32>(four_bytes_of_trits(t.first[0]), four_bytes_of_trits(t.first[2]), four_bytes_of_trits(t.first[4]),
                         four_bytes_of_trits(vec2<u32>(t.last[2], t.last[3]))),
               vec4<u32>(four_bytes_of_trits(t.first[1]), four_bytes_of_trits(t.first[3]),
                         four_bytes_of_trits(vec2<u32>(t.last[0], t.last[1])), four_bytes_of_trits(vec2<u32>(t.last[4], t.last[5]))),
               vec2<f32>(half_at(params.plane3, (row + n) >> 3u)), vec2<f32>());
}
