// The sampling kernels are src/cpu/sampler.h in parallel; the choices are the same up to the last digit of exp and log.

const LOWEST = -3.0e38;

// Finite, LOWEST for what is never drawn. A NaN is told by its bits: compilers may take it that there is none.
fn sane(v: f32) -> f32 {
  let number = (bitcast<u32>(v) & 0x7fffffffu) <= 0x7f800000u;
  return select(LOWEST, clamp(v, LOWEST, -LOWEST), number);
}

// The largest logit of a block and its lowest token, and Σ exp((logit − largest) / temperature).
struct Block {
  largest: f32,
  token: u32,
  mass: f32,
}

// Reals in ascending order to unsigned integers in ascending order.
fn order_key(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}
