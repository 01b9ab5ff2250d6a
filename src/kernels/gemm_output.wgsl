// What a GEMM makes of a sum over all of k, for token t and row n of the weight; `up`: the sum of the second of two weights.
fn put(t: u32, n: u32, scale: f32, sum: f32, up: f32) {
  var value = scale * sum;
  if (BIAS) {
    value += bias[params.bias_base + min(n, params.rows - 1u)];
  }
  if (GATED) {
    value = apply(value, scale * up);
  }
  let at = params.y_base + t * params.y_stride + n;
  if (ADD) {
    value += y[at];
  }
  if (GATE) {
    value = apply(y[at], value);
  }
  y[at] = select(0.0, value, n < params.rows);
}
