// Shared by all kernels: eight weights or activations at a time, and exact binary16.

struct Eight {
  lo: vec4<f32>,
  hi: vec4<f32>,
}

// Exact also for subnormals, which unpack2x16float may flush and real files hold as scales. Infinity and NaN stay what
// they are, so that damaged weights show as NaN logits.
fn half_to_float(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let magnitude = bits & 0x7fffu;
  let exponent = select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
  let normal = bitcast<f32>(sign | ((magnitude << 13u) + exponent));
  let subnormal = f32(magnitude) * select(5.9604644775390625e-8, -5.9604644775390625e-8, sign != 0u);
  return select(normal, subnormal, magnitude < 0x400u);
}
