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

fn keep(block: u32, half: u32, v: array<vec4<f32>, 4>) {
  let q = quantized(v);
  tile[block].lo[2u * half] = q.words.x;
  tile[block].hi[2u * half] = q.words.y;
  tile[block].lo[2u * half + 1u] = q.words.z;
  tile[block].hi[2u * half + 1u] = q.words.w;
  tile[block].scale[half] = q.scale;
  tile[block].sums[half] = select(1, -i32(ZERO), BEGINS) * q.sum;
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
