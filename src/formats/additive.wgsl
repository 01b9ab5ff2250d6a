// Sums of vectors from code books (formats/additive.h), times the row's scale. Codes come first, then the books as f16, then the
// scales as f32. The host gives BOOKS, CODE_BITS (8 or 16), GROUP_UNITS, units of eight weights in a vector, BOOKS_KEPT: the
// kernel has a copy of the books in its workgroup's memory, and ODD_UNITS: rows may have an odd number of units.

fn weight_scale(row: u32) -> f32 {
  return bitcast<f32>(weights1[params.plane2 + row]);
}

fn eight_halves(words: vec4<u32>) -> Eight {
  return Eight(vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y)),
               vec4<f32>(unpack2x16float(words.z), unpack2x16float(words.w)));
}

// A power of two times GROUP_UNITS.
fn book_units() -> u32 {
  return (params.plane2 - params.plane1) / (4u * BOOKS);
}

const KEPT_UNITS = select(1u, 256u * GROUP_UNITS, BOOKS_KEPT);  // of each book
var<workgroup> kept_books: array<array<vec4<u32>, KEPT_UNITS>, BOOKS>;

// Before the first load32, with a barrier between them. Where a book has fewer entries than a code can say, they repeat.
fn prepare(local: u32) {
  if (BOOKS_KEPT) {
    for (var b = 0u; b < BOOKS; b++) {
      for (var i = local; i < KEPT_UNITS; i += WORKGROUP) {
        kept_books[b][i] = weights4[params.plane1 / 4u + b * book_units() + (i & (book_units() - 1u))];
      }
    }
  }
}

// code: bits above its own do not count.
fn vector_of(book: u32, code: u32, part: u32) -> vec4<u32> {
  if (BOOKS_KEPT) {
    return kept_books[book][(code * GROUP_UNITS + part) & (KEPT_UNITS - 1u)];  // compilers see that it is within
  }
  let entry = code & (book_units() / GROUP_UNITS - 1u);
  return weights4[params.plane1 / 4u + book * book_units() + entry * GROUP_UNITS + part];
}

fn code_of(group: u32, book: u32) -> u32 {
  if (CODE_BITS == 8u) {
    return byte_at(0u, group * BOOKS + book);
  }
  return half_word_at(0u, group * BOOKS + book);
}

// A unit has sixteen bits of codes.
const TWO_BYTES = BOOKS * CODE_BITS == 16u && GROUP_UNITS == 1u;

fn sum_of_pair(codes: u32) -> Eight {
  var sum = Eight();
  for (var b = 0u; b < BOOKS; b++) {
    let vector = eight_halves(vector_of(b, codes >> (CODE_BITS * b), 0u));
    sum = Eight(sum.lo + vector.lo, sum.hi + vector.hi);
  }
  return sum;
}

fn sum_of_books(unit: u32) -> Eight {
  if (TWO_BYTES) {
    return sum_of_pair(half_word_at(0u, unit));
  }
  let group = unit / GROUP_UNITS;
  var sum = Eight();
  for (var b = 0u; b < BOOKS; b++) {
    let vector = eight_halves(vector_of(b, code_of(group, b), unit % GROUP_UNITS));
    sum = Eight(sum.lo + vector.lo, sum.hi + vector.hi);
  }
  return sum;
}

fn load8(unit: u32) -> Eight {
  let d = weight_scale(unit / params.row_units);
  let sum = sum_of_books(unit);
  return Eight(d * sum.lo, d * sum.hi);
}

const GROUP = 32u;  // see products.wgsl

// The codes of the four units from u on behind the start of a row, in the lower halves of the words. u is even.
fn four_pairs(row: u32, u: u32) -> vec4<u32> {
  let at = row / 2u + u / 2u;
  var pairs = vec2<u32>(weights1[at], weights1[at + 1u]);
  if (ODD_UNITS) {
    let next = vec2<u32>(pairs.y, weights1[at + 2u]);
    pairs = select(pairs, (pairs >> vec2<u32>(16u)) | (next << vec2<u32>(16u)), (row & 1u) != 0u);
  }
  return vec4<u32>(pairs.x, pairs.x >> 16u, pairs.y, pairs.y >> 16u);
}

fn unscaled_block(a: Eight, b: Eight, c: Eight, d: Eight) -> Block {
  return Block(array<vec4<f32>, 8>(a.lo, a.hi, b.lo, b.hi, c.lo, c.hi, d.lo, d.hi), vec2<f32>(1.0), vec2<f32>(0.0));
}

// Without the row's scale. Behind the end of a row others stand in for the rest, where activations are zero.
fn load32(row: u32, u: u32) -> Block {
  if (TWO_BYTES) {
    let codes = four_pairs(row, u);
    return unscaled_block(sum_of_pair(codes.x), sum_of_pair(codes.y), sum_of_pair(codes.z), sum_of_pair(codes.w));
  }
  let end = row + params.row_units - 1u;
  return unscaled_block(sum_of_books(min(row + u, end)), sum_of_books(min(row + u + 1u, end)),
                        sum_of_books(min(row + u + 2u, end)), sum_of_books(min(row + u + 3u, end)));
}
