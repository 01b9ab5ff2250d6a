const normal_quantiles = array<f32, 16>(
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0);

fn load8(unit: u32) -> Eight {
  let d = bitcast<f32>(weights1[params.plane1 + (unit >> 3u)]);
  let word = vec4<u32>(weights1[unit]);
  let lo = (word >> vec4<u32>(4u, 0u, 12u, 8u)) & vec4<u32>(15u);
  let hi = (word >> vec4<u32>(20u, 16u, 28u, 24u)) & vec4<u32>(15u);
  return Eight(d * quantiles(lo), d * quantiles(hi));
}

fn quantiles(codes: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(normal_quantiles[codes.x], normal_quantiles[codes.y], normal_quantiles[codes.z],
                   normal_quantiles[codes.w]);
}
