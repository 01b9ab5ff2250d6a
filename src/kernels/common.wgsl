// Shared by all kernels: eight weights or activations at a time, and exact binary16.

struct Eight {
  lo: vec4<f32>,
  hi: vec4<f32>,
}

// Exact also for subnormals, which unpack2x16float may flush and real files hold as scales. Infinity and NaN stay what
// they are, so that damaged weights show as NaN logits.
fn half_to_float(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  // 2¹¹² times as much, which makes infinity and NaN of what is so; without an exponent a leading one too many.
  let normal = bitcast<f32>((magnitude << 13u) + 0x70000000u);
  let scaled = select(normal, 2.0 * normal - 0x1p98, magnitude < 0x400u);
  return bitcast<f32>(bitcast<u32>(scaled * 0x1p-112) | ((bits & 0x8000u) << 16u));
}
