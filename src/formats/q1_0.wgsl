fn load8(unit: u32) -> Eight {
  let d = vec4<f32>(half_at(params.plane1, unit >> 4u));
  return with_signs(Eight(d, d), ~byte_at(0u, unit));
}
