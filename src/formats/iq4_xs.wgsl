const values = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
const GROUP = 32u;  // see products.wgsl

fn scales_of(block: u32) -> vec2<f32> {
  let head = params.plane1 + 2u * (block >> 3u);
  let group = block & 7u;
  let first = weights1[head];
  let scale = ((weights1[head + 1u] >> (4u * group)) & 15u) | (((first >> (16u + 2u * group)) & 3u) << 4u);
  return vec2<f32>(half_to_float(first) * (f32(scale) - 32.0));
}
