// The angle of a position is that of its multiple of 64 plus that of the rest: two short tables made in double
// precision instead of sin and cos of large arguments, which devices may compute loosely.

const PAIRS = max(ROTATED / 2u, 1u);  // 1 where nothing is rotated, and nobody asks

// cos and sin of a pair's angle. rope_table: 64 rows of rest, then rows of multiples.
fn cos_sin(position: u32, pair: u32) -> vec2<f32> {
  let rest = rope_table[(position & 63u) * PAIRS + pair];
  let whole = rope_table[(64u + (position >> 6u)) * PAIRS + pair];
  return vec2<f32>(rest.x * whole.x - rest.y * whole.y, rest.x * whole.y + rest.y * whole.x);
}

// Of the columns that are rotated: the one that makes a pair with e, and cos and sin, its sign that of e's product with it.
struct Turn {
  other: u32,
  cosine: f32,
  sine: f32,
}
fn turn_of(e: u32, position: u32) -> Turn {
  if (ADJACENT) {
    let t = cos_sin(position, e >> 1u);
    return Turn(e ^ 1u, t.x, select(t.y, -t.y, (e & 1u) == 0u));
  }
  let t = cos_sin(position, e % PAIRS);
  return Turn(select(e - PAIRS, e + PAIRS, e < PAIRS), t.x, select(t.y, -t.y, e < PAIRS));
}
