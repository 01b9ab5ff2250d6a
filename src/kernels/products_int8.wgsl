// As products.wgsl, by integers: activations are bytes, sixteen to a scale, and so are the weights.

// Bytes around 128 become signed; other numbers that stand for zero are taken from the sum where it begins.
const FLIP = select(0u, 0x80808080u, ZERO == 128.0);
const BEGINS = ZERO > 0.0 && ZERO < 128.0;

struct Activations {
  lo: vec4<u32>,  // as in Bytes
  hi: vec4<u32>,
  scale: vec2<f32>,
  sums: vec2<i32>,  // times -ZERO where it begins so
}

// The largest is found by its bits, so that an infinity or a NaN stays, and every product is one.
fn keep(block: u32, half: u32, v: array<vec4<f32>, 4>) {
  var bits = vec4<u32>();
  for (var i = 0u; i < 4u; i++) {
    bits = max(bits, bitcast<vec4<u32>>(v[i]) & vec4<u32>(0x7fffffffu));
  }
  let largest = bitcast<f32>(max(max(bits.x, bits.y), max(bits.z, bits.w)));
  let inverse = select(127.0 / largest, 0.0, largest < 1e-30);
  var words = vec4<u32>();
  var sum = 0;
  for (var i = 0u; i < 4u; i++) {
    words[i] = pack4xI8(vec4<i32>(round(v[i] * inverse)));
    sum += dot4I8Packed(words[i], 0x01010101u);
  }
  tile[block].lo[2u * half] = words.x;
  tile[block].hi[2u * half] = words.y;
  tile[block].lo[2u * half + 1u] = words.z;
  tile[block].hi[2u * half + 1u] = words.w;
  tile[block].scale[half] = largest / 127.0;
  tile[block].sums[half] = select(1, -i32(ZERO), BEGINS) * sum;
}

const STEP = 1u;

fn load_block(row: u32, n: u32) -> Bytes {
  return load_bytes(row, n);
}

fn product(w: Bytes, a: Activations) -> f32 {
  let lo = w.lo ^ vec4<u32>(FLIP);
  let hi = w.hi ^ vec4<u32>(FLIP);
  let begin = select(vec2<i32>(), a.sums, BEGINS);
  let first = begin.x + dot4I8Packed(lo.x, a.lo.x) + dot4I8Packed(hi.x, a.hi.x) + dot4I8Packed(lo.y, a.lo.y) +
              dot4I8Packed(hi.y, a.hi.y);
  let last = begin.y + dot4I8Packed(lo.z, a.lo.z) + dot4I8Packed(hi.z, a.hi.z) + dot4I8Packed(lo.w, a.lo.w) +
             dot4I8Packed(hi.w, a.hi.w);
  let sums = a.scale * vec2<f32>(a.sums);
  let products = a.scale * vec2<f32>(f32(first), f32(last));
  if (GROUP == 32u) {
    return w.scale.x * (products.x + products.y) + w.offset.x * (sums.x + sums.y);
  }
  return dot(w.scale, products) + dot(w.offset, sums);
}
