// What the products for devices whose threads are the lanes of a CPU share. There every load is one for each lane, whatever
// memory it is from, and a barrier is a switch of coroutines: so LANES lanes of a subgroup load 32 activations together and
// pass them on to each other. Loops have no constant bounds: unrolled they compile many times as long.

const LOADS = 8u / LANES;  // of a lane, for 32 activations: of a row of them the fours 8 block + lane, then LANES further
alias Loaded = array<vec4<f32>, LOADS>;
alias Floats32 = array<vec4<f32>, 8>;

fn sum_of(v: vec4<f32>) -> f32 {
  return v.x + v.y + v.z + v.w;
}

// The scale of a token's norm; each lane gives its activations' squares.
fn token_scale(squares: f32) -> f32 {
  if (!NORM) {
    return 1.0;
  }
  var sum = squares;
  for (var step = 1u; step < LANES; step <<= 1u) {
    sum += subgroupShuffleXor(sum, step);
  }
  return inverseSqrt(sum / params.width + params.eps);
}

fn store(token: u32, n: u32, sum: f32) {
  if (n >= params.padded_rows) {
    return;
  }
  var value = sum;
  if (BIAS) {
    value += bias[params.bias_base + min(n, params.rows - 1u)];
  }
  let at = params.y_base + token * params.y_stride + n;
  if (ADD) {
    value += y[at];
  }
  if (GATE) {
    value = apply(y[at], value);
  }
  y[at] = select(0.0, value, n < params.rows);
}
