// Where the parts of k leave their sums: [split][token][n], of two weights the second one's behind the first one's; then of
// each token's numbers the squares.

fn sum_place(split: u32, t: u32, n: u32) -> u32 {
  return (split * state.rows + t) * select(1u, 2u, GATED) * params.rows + n;
}

fn squares_place(split: u32, t: u32) -> u32 {
  return sum_place(SPLITS, 0u, 0u) + split * state.rows + t;
}
