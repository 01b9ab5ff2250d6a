// Blocks of 32 weights times blocks of 32 activations. GROUP weights share a scale and an offset, 16 or 32.

struct Activations {
  v: array<vec4<f32>, 8>,
  sums: vec4<f32>,  // of the first and the last sixteen, in x and y; the odd size spreads blocks over the banks
}

// Half a block of activations into the tile of the kernel.
fn keep(block: u32, half: u32, v: array<vec4<f32>, 4>) {
  tile[block].v[4u * half] = v[0];
  tile[block].v[4u * half + 1u] = v[1];
  tile[block].v[4u * half + 2u] = v[2];
  tile[block].v[4u * half + 3u] = v[3];
  let sum = (v[0] + v[1]) + (v[2] + v[3]);
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
  sums.x = add_products(add_products(sums.x, w.q[0], a.v[0]), w.q[1], a.v[1]);
  sums.y = add_products(add_products(sums.y, w.q[4], a.v[4]), w.q[5], a.v[5]);
  sums.x = add_products(add_products(sums.x, w.q[2], a.v[2]), w.q[3], a.v[3]);
  sums.y = add_products(add_products(sums.y, w.q[6], a.v[6]), w.q[7], a.v[7]);
  if (GROUP == 32u) {
    return w.scale.x * (sums.x + sums.y) + w.offset.x * (a.sums.x + a.sums.y);
  }
  return dot(w.scale, sums) + dot(w.offset, a.sums.xy);
}
