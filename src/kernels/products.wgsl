// Blocks of 32 weights times blocks of 32 activations. GROUP weights share a scale and an offset, 16 or 32.

struct Activations {
  v: array<vec4<f32>, 8>,
  sums: vec4<f32>,  // of the first and the last sixteen, in x and y; the odd size spreads blocks over the banks
}

fn product(w: Block, a: Activations) -> f32 {
  let first = dot(w.q[0], a.v[0]) + dot(w.q[1], a.v[1]) + dot(w.q[2], a.v[2]) + dot(w.q[3], a.v[3]);
  let last = dot(w.q[4], a.v[4]) + dot(w.q[5], a.v[5]) + dot(w.q[6], a.v[6]) + dot(w.q[7], a.v[7]);
  if (GROUP == 32u) {
    return w.scale.x * (first + last) + w.offset.x * (a.sums.x + a.sums.y);
  }
  return dot(w.scale, vec2<f32>(first, last)) + dot(w.offset, a.sums.xy);
}
