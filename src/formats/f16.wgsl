fn two_halves(word: u32) -> vec2<f32> {
  return vec2<f32>(half_to_float(word), upper_half(word));
}

fn load8(unit: u32) -> Eight {
  let words = weights4[unit];
  return Eight(vec4<f32>(two_halves(words.x), two_halves(words.y)), vec4<f32>(two_halves(words.z), two_halves(words.w)));
}

fn four_halves(words: vec2<u32>) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}

const GROUP = 32u;  // see products.wgsl

// A device may take halves below 2⁻¹⁴ for zero here. Behind the end of a row, where activations are zero, its last eight
// weights stand in for the rest.
fn load32(row: u32, u: u32) -> Block {
  let last = params.row_units - 1u;
  let a = weights4[row + u];
  let b = weights4[row + min(u + 1u, last)];
  let c = weights4[row + min(u + 2u, last)];
  let d = weights4[row + min(u + 3u, last)];
  return Block(array<vec4<f32>, 8>(four_halves(a.xy), four_halves(a.zw), four_halves(b.xy), four_halves(b.zw),
                                   four_halves(c.xy), four_halves(c.zw), four_halves(d.xy), four_halves(d.zw)),
               vec2<f32>(1.0), vec2<f32>(0.0));
}
