// The sampling kernels are src/cpu/sampler.h in parallel; the choices are the same up to the last digit of exp and log.

const LOWEST = -3.0e38;
const HIGHEST = 3.0e38;
const NOT_A_NUMBER = 3.3e38;  // what a NaN counts as: above all logits, so that the search for the largest finds it

// Finite: LOWEST for what is never drawn. A NaN is told by its bits: compilers may take it that there is none.
fn sane(v: f32) -> f32 {
  let number = (bitcast<u32>(v) & 0x7fffffffu) <= 0x7f800000u;
  return select(NOT_A_NUMBER, clamp(v, LOWEST, HIGHEST), number);
}

// The largest logit of BLOCK consecutive ones and its lowest token, and Σ exp((logit − largest) / temperature).
struct Block {
  largest: f32,
  token: u32,
  mass: f32,
}

// Maps floats to unsigned integers that are in the same order.
fn order_key(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}
