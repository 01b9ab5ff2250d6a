fn load8(unit: u32) -> Eight {
  return Eight(bitcast<vec4<f32>>(weights4[2u * unit]), bitcast<vec4<f32>>(weights4[2u * unit + 1u]));
}
