// Sums of vectors from code books (formats/additive.h), times the row's scale. Codes come first, then the books as f16 and
// the scales as f32. The host gives BOOKS, CODE_BITS (8 or 16) and GROUP_UNITS, units of eight weights in a vector.

fn scale_of_row(unit: u32) -> f32 {
  return bitcast<f32>(weights1[params.plane2 + unit / params.row_units]);
}

fn code_of(at: u32) -> u32 {
  if (CODE_BITS == 8u) {
    return byte_at(0u, at);
  }
  return half_word_at(0u, at);
}

fn sum_of_books(unit: u32) -> Eight {
  let book_units = (params.plane2 - params.plane1) / (4u * BOOKS);  // a power of two times GROUP_UNITS
  let group = unit / GROUP_UNITS;
  var sum = Eight();
  for (var b = 0u; b < BOOKS; b++) {
    let entry = code_of(group * BOOKS + b) & (book_units / GROUP_UNITS - 1u);
    let halves = weights4[params.plane1 / 4u + b * book_units + entry * GROUP_UNITS + unit % GROUP_UNITS];
    let first = vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
    let last = vec4<f32>(unpack2x16float(halves.z), unpack2x16float(halves.w));
    sum = Eight(sum.lo + first, sum.hi + last);
  }
  return sum;
}

fn load8(unit: u32) -> Eight {
  let d = scale_of_row(unit);
  let sum = sum_of_books(unit);
  return Eight(d * sum.lo, d * sum.hi);
}

const GROUP = 32u;  // see products.wgsl

// Behind the end of a row its last eight stand in for the rest, where activations are zero.
fn load32(row: u32, u: u32) -> Block {
  let end = row + params.row_units - 1u;
  let a = sum_of_books(min(row + u, end));
  let b = sum_of_books(min(row + u + 1u, end));
  let c = sum_of_books(min(row + u + 2u, end));
  let d = sum_of_books(min(row + u + 3u, end));
  return Block(array<vec4<f32>, 8>(a.lo, a.hi, b.lo, b.hi, c.lo, c.hi, d.lo, d.hi), vec2<f32>(scale_of_row(row)),
               vec2<f32>(0.0));
}
