const values = vec4<u32>(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);
const GROUP = 16u;  // see products.wgsl

// Half of an unsigned E4M3.
fn half_scale(bits: u32) -> f32 {
  let normal = bitcast<f32>((bits << 20u) + (119u << 23u));
  let value = select(normal, f32(bits) * 0x1p-10, bits < 8u);
  return select(value, 0.0, bits == 127u);
}

fn scales_of(block: u32) -> vec2<f32> {
  let bits = weights1[params.plane1 + (block >> 1u)] >> ((block & 1u) * 16u);
  return vec2<f32>(half_scale(bits & 127u), half_scale((bits >> 8u) & 127u));
}
