// Shared by all kernels: eight weights or activations at a time, and exact binary16.

struct Eight {
  lo: vec4<f32>,
  hi: vec4<f32>,
}

// The half in the upper sixteen bits of a word. Exact also for subnormals, which unpack2x16float may flush and real files hold as
// scales. Infinity and NaN stay what they are, so that damaged weights show as NaN logits.
fn upper_half(word: u32) -> f32 {
  // 2¹¹² times as much, which makes infinity and NaN of what is so; without an exponent a leading one too many.
  let normal = bitcast<f32>(((word >> 3u) & 0x0fffe000u) | 0x70000000u);
  let scaled = min(normal, 2.0 * normal - 0x1p98) * 0x1p-112;
  return bitcast<f32>((bitcast<u32>(scaled) & 0x7fffffffu) | (word & 0x80000000u));
}

fn half_to_float(lower: u32) -> f32 {
  return upper_half(lower << 16u);
}
