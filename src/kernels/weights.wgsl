// What format fragments build on: the bytes of a weight, seen as words and as groups of four words.

fn byte_at(plane: u32, index: u32) -> u32 {
  return (weights1[plane + (index >> 2u)] >> ((index & 3u) * 8u)) & 255u;
}

fn half_word_at(plane: u32, index: u32) -> u32 {
  return (weights1[plane + (index >> 1u)] >> ((index & 1u) * 16u)) & 0xffffu;
}

fn half_at(plane: u32, index: u32) -> f32 {
  return upper_half(weights1[plane + (index >> 1u)] << (((index + 1u) << 4u) & 31u));
}

// The four bytes of a word as numbers from 0 to 255.
fn unsigned_bytes(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

// Thirty-two weights, with a scale and an offset for each half of them: (q - SHIFT) · scale + offset.
struct Block {
  q: array<vec4<f32>, 8>,
  scale: vec2<f32>,
  offset: vec2<f32>,
}

// The same with bytes for q, and ZERO for SHIFT: lo.x has the first four, hi.x the next, then lo.y and so on.
struct Bytes {
  lo: vec4<u32>,
  hi: vec4<u32>,
  scale: vec2<f32>,
  offset: vec2<f32>,
}

fn lower_nibbles(words: vec4<u32>) -> vec4<u32> {
  return words & vec4<u32>(0x0f0f0f0fu);
}

fn upper_nibbles(words: vec4<u32>) -> vec4<u32> {
  return (words >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
}

// Nibbles, and a fifth bit for each: in every byte of `fifth`, bits 2 i and 2 i + 1 belong to word i.
fn five_bits(words: vec4<u32>, fifth: u32, scale: f32, offset: f32) -> Bytes {
  let lo = vec4<u32>(fifth << 4u, fifth << 2u, fifth, fifth >> 2u) & vec4<u32>(0x10101010u);
  let hi = vec4<u32>(fifth << 3u, fifth << 1u, fifth >> 1u, fifth >> 3u) & vec4<u32>(0x10101010u);
  return Bytes(lower_nibbles(words) | lo, upper_nibbles(words) | hi, vec2<f32>(scale), vec2<f32>(offset));
}

// Of two words whose bytes hold four codes of two bits: in the lowest four bits of each byte those of eight weights.
fn pairs_of_bits(first: u32, second: u32) -> vec4<u32> {
  return vec4<u32>(first, first >> 4u, second, second >> 4u);
}

// The lowest sixteen bits as eight numbers from 0 to 3, the lowest bits first.
fn two_bits(codes: u32) -> Eight {
  let lo = (vec4<u32>(codes) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u);
  let hi = (vec4<u32>(codes) >> vec4<u32>(8u, 10u, 12u, 14u)) & vec4<u32>(3u);
  return Eight(vec4<f32>(lo), vec4<f32>(hi));
}

// The lowest eight bits as four bytes from 0 to 3.
fn bytes_of_two_bits(codes: u32) -> u32 {
  let pairs = ((codes & 255u) | ((codes & 255u) << 12u)) & 0x000f000fu;
  return (pairs | (pairs << 6u)) & 0x03030303u;
}

// Thirty-two codes: see Bytes.
fn codes_as_bytes(first: u32, last: u32, d: f32) -> Bytes {
  let words = vec4<u32>(first, first >> 16u, last, last >> 16u);
  return Bytes(vec4<u32>(bytes_of_two_bits(words.x), bytes_of_two_bits(words.y), bytes_of_two_bits(words.z), bytes_of_two_bits(words.w)),
               vec4<u32>(bytes_of_two_bits(words.x >> 8u), bytes_of_two_bits(words.y >> 8u), bytes_of_two_bits(words.z >> 8u),
                         bytes_of_two_bits(words.w >> 8u)),
               vec2<f32>(d), vec2<f32>());
}

// The sixteen codes of a word, four to a column.
fn codes_of_word(word: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(unsigned_bytes(word & 0x03030303u), unsigned_bytes((word >> 2u) & 0x03030303u),
                               unsigned_bytes((word >> 4u) & 0x03030303u), unsigned_bytes((word >> 6u) & 0x03030303u)));
}

fn codes_of_two_bits(first: u32, last: u32) -> array<vec4<f32>, 8> {
  let a = codes_of_word(first);
  let b = codes_of_word(last);
  return array<vec4<f32>, 8>(a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]);
}

// Four look-ups in a table of sixteen signed bytes, which lies in four words: the lowest four bits of each index count.
fn look_up(bytes: vec4<u32>, index: vec4<u32>) -> vec4<f32> {
  let odd = (index & vec4<u32>(4u)) != vec4<u32>(0u);
  let lower = select(vec4<u32>(bytes.x), vec4<u32>(bytes.y), odd);
  let upper = select(vec4<u32>(bytes.z), vec4<u32>(bytes.w), odd);
  let words = select(lower, upper, (index & vec4<u32>(8u)) != vec4<u32>(0u));
  return vec4<f32>(bitcast<vec4<i32>>(words << ((~index & vec4<u32>(3u)) * vec4<u32>(8u))) >> vec4<u32>(24u));
}

// Changes the sign of each number whose bit is set; the lowest bit is the first number's.
fn with_signs(v: Eight, minus: u32) -> Eight {
  let lo = (vec4<u32>(minus) & vec4<u32>(1u, 2u, 4u, 8u)) != vec4<u32>(0u);
  let hi = (vec4<u32>(minus) & vec4<u32>(16u, 32u, 64u, 128u)) != vec4<u32>(0u);
  return Eight(select(v.lo, -v.lo, lo), select(v.hi, -v.hi, hi));
}

// Bytes of 128 + v: with the lowest four bits for signs, 128 - v where there is a minus.
fn signed_bytes(bytes: u32, minus: u32) -> u32 {
  let ones = ((minus & 15u) * 0x00204081u) & 0x01010101u;
  return (bytes - ones) ^ (ones * 255u);
}

// Seven sign bits are stored; the eighth makes the number of minus signs even.
fn eight_signs(seven: u32) -> u32 {
  return seven | ((countOneBits(seven) & 1u) << 7u);
}
