// What graph::Function is made of. WGSL's own tanh may be off by 1e-5 and overflow; these are right to about the last
// digits of f32 for all arguments.

fn sigmoid(v: f32) -> f32 {
  return 1.0 / (1.0 + exp(-v));
}

// v σ(s)
fn gated(v: f32, s: f32) -> f32 {
  return v / (1.0 + exp(-s));
}

fn silu(v: f32) -> f32 {
  return gated(v, v);
}

fn tanh_of(v: f32) -> f32 {
  let s = v * v;
  let series = v * (1.0 + s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869489))));
  let size = 1.0 - 2.0 / (exp(2.0 * min(abs(v), 20.0)) + 1.0);
  return select(select(size, -size, v < 0.0), series, s < 0.0625);
}

// v times the share of a normal distribution below v: erfc(−v / √2) / 2. The Chebyshev fit of erfc (Press et al.,
// Numerical Recipes, §6.2) is off by at most 1.2e-7 of its value.
fn gelu(v: f32) -> f32 {
  let z = 0.70710678 * abs(v);
  let t = 1.0 / (1.0 + 0.5 * z);
  let low = 0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807 + t * (-1.13520398 +
            t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))));
  let erfc = t * exp(-z * z - 1.26551223 + t * (1.00002368 + t * low));
  return v * select(0.5 * erfc, 1.0 - 0.5 * erfc, v > 0.0);
}

// v · (1 + tanh(√(2/π) (v + 0.044715 v³))) / 2
fn gelu_tanh(v: f32) -> f32 {
  return gated(v, 1.5957691 * v * (1.0 + 0.044715 * v * v));
}

// max(v, 0)²; NaN stays.
fn relu_squared(v: f32) -> f32 {
  return select(v * v, 0.0, v <= 0.0);
}

// ln(1 + e^v) = max(v, 0) + ln(1 + e) where e = e^−|v| is at most 1, and ln(1 + e) = 2 artanh(e / (2 + e)).
fn softplus(v: f32) -> f32 {
  let e = exp(-abs(v));
  let s = e / (2.0 + e);
  let r = s * s;
  let series = 1.0 + r * (0.33333333 + r * (0.2 + r * (0.14285714 + r * (0.11111111 + r * (0.09090909 +
               r * (0.07692308 + r * 0.06666667))))));
  return max(v, 0.0) + 2.0 * s * series;
}

// e^v − 1
fn expm1(v: f32) -> f32 {
  let series = v * (1.0 + v * (0.5 + v * (0.16666667 + v * (0.041666667 + v * (0.0083333333 + v * (0.0013888889 +
               v * (0.00019841270 + v * 0.000024801587)))))));
  return select(exp(v) - 1.0, series, abs(v) < 0.4);
}

fn xielu(v: f32, above: f32, below: f32, beta: f32, eps: f32) -> f32 {
  return select(below * (expm1(min(v, eps)) - v), above * v * v, v > 0.0) + beta * v;
}
