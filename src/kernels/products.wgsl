// Blocks of 32 weights times blocks of 32 activations. GROUP weights share a scale and an offset, 16 or 32.

struct Activations {
  v: array<vec4<f32>, 8>,
  sums: vec4<f32>,  // of the first and the last sixteen, in x and y; the odd size spreads blocks over the banks
}

// Half a block of activations into the tile of the kernel.
fn keep(block: u32, half: u32, v: array<vec4<f32>, 4>) {
  var sum = vec4<f32>();
  for (var i = 0u; i < 4u; i++) {
    tile[block].v[4u * half + i] = v[i];
    sum += v[i];
  }
  tile[block].sums[half] = sum.x + sum.y + sum.z + sum.w;
}

fn load_block(row: u32, n: u32) -> Block {
  return load32(row, n);
}

fn add_products(sum: f32, w: vec4<f32>, v: vec4<f32>) -> f32 {
  return fma(w.w, v.w, fma(w.z, v.z, fma(w.y, v.y, fma(w.x, v.x, sum))));
}

fn product(w: Block, a: Activations) -> f32 {
  var sums = -SHIFT * a.sums.xy;
  for (var i = 0u; i < 4u; i++) {
    sums.x = add_products(sums.x, w.q[i], a.v[i]);
    sums.y = add_products(sums.y, w.q[i + 4u], a.v[i + 4u]);
  }
  if (GROUP == 32u) {
    return w.scale.x * (sums.x + sums.y) + w.offset.x * (a.sums.x + a.sums.y);
  }
  return dot(w.scale, sums) + dot(w.offset, a.sums.xy);
}
