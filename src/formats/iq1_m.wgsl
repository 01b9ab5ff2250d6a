fn point(index: u32) -> vec2<u32> {
  return vec2<u32>(table[2u * index], table[2u * index + 1u]);
}

fn load8(unit: u32) -> Eight {
  let at = params.plane2 + 2u * (unit >> 5u);
  let first = weights1[at];
  let second = weights1[at + 1u];
  let d = ((first >> 12u) & 15u) | ((first >> 24u) & 0xf0u) | ((second >> 4u) & 0xf00u) | ((second >> 16u) & 0xf000u);
  let scales = select(first, second, (unit & 16u) != 0u) >> ((unit & 8u) * 2u + ((unit >> 1u) & 3u) * 3u);
  let scale = half_to_float(d) * f32(2u * (scales & 7u) + 1u);
  let nibble = weights1[params.plane1 + (unit >> 3u)] >> ((unit & 7u) * 4u);
  let shift = select(-0.875, -1.125, (nibble & 8u) != 0u);
  let c = point(byte_at(0u, unit) | ((nibble & 7u) << 8u));
  return Eight(scale * (unsigned_bytes(c.x) + shift), scale * (unsigned_bytes(c.y) + shift));
}

const GROUP = 16u;  // see products.wgsl

// Eight times the weights, and 9 more, as bytes; nibble: three bits of the index, and a bit that takes away a quarter.
fn point_of(code: u32, nibble: u32) -> vec2<u32> {
  return point((code & 255u) | ((nibble & 7u) << 8u)) * 8u + select(0x02020202u, 0u, (nibble & 8u) != 0u);
}

struct Points {
  first: vec4<u32>,  // of the four of eight weights the first halves
  last: vec4<u32>,
  scale: vec2<f32>,
}

fn points_of(block: u32) -> Points {
  let at = params.plane2 + 2u * (block >> 3u);
  let first = weights1[at];
  let second = weights1[at + 1u];
  let half_bits = ((first >> 12u) & 15u) | ((first >> 24u) & 0xf0u) | ((second >> 4u) & 0xf00u) | ((second >> 16u) & 0xf000u);
  let scales = select(first, second, (block & 4u) != 0u) >> ((block & 2u) * 8u + (block & 1u) * 6u);
  let scale = half_to_float(half_bits) * 0.125 * vec2<f32>(f32(2u * (scales & 7u) + 1u), f32(2u * ((scales >> 3u) & 7u) + 1u));
  let codes = weights1[block];
  let nibbles = weights1[params.plane1 + (block >> 1u)] >> ((block & 1u) * 16u);
  let a = point_of(codes, nibbles);
  let b = point_of(codes >> 8u, nibbles >> 4u);
  let c = point_of(codes >> 16u, nibbles >> 8u);
  let d = point_of(codes >> 24u, nibbles >> 12u);
  return Points(vec4<u32>(a.x, b.x, c.x, d.x), vec4<u32>(a.y, b.y, c.y, d.y), scale);
}

// Without an offset, which would be as large as most weights.
fn eighths(bytes: u32) -> vec4<f32> {
  return unsigned_bytes(bytes) - 9.0;
}

fn load32(row: u32, n: u32) -> Block {
  let p = points_of(row + n);
  return Block(array<vec4<f32>, 8>(eighths(p.first.x), eighths(p.last.x), eighths(p.first.y), eighths(p.last.y), eighths(p.first.z),
                                   eighths(p.last.z), eighths(p.first.w), eighths(p.last.w)),
               p.scale, vec2<f32>());
}

const ZERO = 9.0;

fn load_bytes(row: u32, n: u32) -> Bytes {
  let p = points_of(row + n);
  return Bytes(p.first, p.last, p.scale, vec2<f32>());
}
