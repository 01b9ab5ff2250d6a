fn four_bytes(word: u32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}

fn load8(unit: u32) -> Eight {
  let d = half_at(params.plane1, unit >> 2u);
  return Eight(d * four_bytes(weights1[2u * unit]), d * four_bytes(weights1[2u * unit + 1u]));
}
