// Adds up what the parts of k have left (gemm_split), in their order, and makes the output of it. A thread for each number.

@group(0) @binding(0) var<uniform> params: MatMulParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> partial: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn sum_of(t: u32, n: u32) -> f32 {
  var sum = 0.0;
  for (var split = 0u; split < SPLITS; split++) {
    sum += partial[sum_place(split, t, n)];
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let n = group.x * WORKGROUP + local;
  let t = group.y;
  if (n >= params.padded_rows) {
    return;
  }
  var scale = 1.0;
  if (NORM) {
    var squares = 0.0;
    for (var split = 0u; split < SPLITS; split++) {
      squares += partial[squares_place(split, t)];
    }
    scale = inverseSqrt(squares / params.width + params.eps);
  }
  let row = min(n, params.rows - 1u);
  var up = 0.0;
  if (GATED) {
    up = sum_of(t, params.rows + row);
  }
  put(t, n, scale, sum_of(t, row), up);
}
