const values = vec4<u32>(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);
const GROUP = 32u;  // see products.wgsl

fn scales_of(block: u32) -> vec2<f32> {
  return vec2<f32>(bitcast<f32>((max(byte_at(params.plane1, block), 1u) - 1u) << 23u));
}
