// What format fragments build on: the bytes of a weight, seen as words and as groups of four words.

fn half_at(plane: u32, index: u32) -> f32 {
  let pair = weights1[plane + (index >> 1u)];
  return half_to_float((pair >> ((index & 1u) * 16u)) & 0xffffu);
}

fn dot8(unit: u32, v: Eight) -> f32 {
  let w = load8(unit);
  return dot(w.lo, v.lo) + dot(w.hi, v.hi);
}
