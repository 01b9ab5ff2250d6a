fn load8(unit: u32) -> Eight {
  let words = weights4[unit];
  let even = bitcast<vec4<f32>>(words << vec4<u32>(16u));
  let odd = bitcast<vec4<f32>>(words & vec4<u32>(0xffff0000u));
  return Eight(vec4<f32>(even.x, odd.x, even.y, odd.y), vec4<f32>(even.z, odd.z, even.w, odd.w));
}
