fn two_halves(word: u32) -> vec2<f32> {
  return vec2<f32>(half_to_float(word & 0xffffu), half_to_float(word >> 16u));
}

fn load8(unit: u32) -> Eight {
  let words = weights4[unit];
  return Eight(vec4<f32>(two_halves(words.x), two_halves(words.y)), vec4<f32>(two_halves(words.z), two_halves(words.w)));
}
