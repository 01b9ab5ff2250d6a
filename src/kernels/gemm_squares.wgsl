// Of a GEMM whose tile has a row of x from X_LANES threads, each with some of its squares: their sums.

var<workgroup> x_squares: array<f32, WORKGROUP>;

fn keep_squares(local: u32, squares: vec2<f32>) {
  x_squares[local] = squares.x;
}

fn squares_of(row: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < X_LANES; i++) {
    sum += x_squares[row * X_LANES + i];
  }
  return sum;
}
