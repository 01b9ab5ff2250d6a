const values = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
const GROUP = 32u;  // see products.wgsl

fn scales_of(block: u32) -> vec2<f32> {
  return vec2<f32>(half_at(params.plane1, block));
}
