// What the kernels of attention share. Caches are [kv head][position mod capacity][k_FOURS or v_FOURS groups of four], read
// by pairs of groups. A workgroup serves VECTORS queries of one kv head, numbered token by token, head by head.

@group(0) @binding(0) var<uniform> params: AttentionParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> k_cache: array<k_Cell>;
@group(0) @binding(3) var<storage, read> v_cache: array<v_Cell>;
@group(0) @binding(4) var<storage, read> q: array<vec4<f32>>;  // not with IN_PLACE
@group(0) @binding(5) var<storage, read> sinks: array<f32>;
@group(0) @binding(6) var<storage, read_write> partial: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;

const WORKGROUP = THREADS;
const FOURS = VALUE / 4u;
const V_PAIRS = (FOURS + 1u) / 2u;
const K_PAIRS = (k_FOURS + 1u) / 2u;
const LOWEST = -3.0e38;

// Behind the last group of an odd number zeros.
struct Pair {
  a: vec4<f32>,
  b: vec4<f32>,
}

// Four numbers of a query, scaled.
fn query_four(kv_head: u32, query: u32, four: u32) -> vec4<f32> {
  let at = params.q_base + query / GROUP_HEADS * params.q_stride + head_of(kv_head, query) * k_FOURS + four;
  if (IN_PLACE) {
    return out[at] * params.scale;
  }
  return q[at] * params.scale;
}

// n, which no compiler sees: to unroll a loop of so many rounds costs more time to compile than it gains.
fn rolled(n: u32) -> u32 {
  return select(0u, n, params.heads > 0u);
}

fn head_of(kv_head: u32, query: u32) -> u32 {
  return kv_head * GROUP_HEADS + query % GROUP_HEADS;
}

// The first position that the query at a position sees, and the one behind the last.
fn seen_from(position: u32) -> u32 {
  if (CAUSAL) {
    return position + 1u - min(position + 1u, params.window);
  }
  return position - min(position, params.window / 2u);
}
fn seen_until(position: u32) -> u32 {
  if (CAUSAL) {
    return position + 1u;
  }
  let last = state.position + state.rows - 1u;
  return position + min(last - min(position, last), params.window / 2u) + 1u;
}

// Of the cache; `row` is less than twice its capacity.
fn row_of(kv_head: u32, row: u32) -> u32 {
  return kv_head * params.capacity + select(row, row - params.capacity, row >= params.capacity);
}

// Four columns of a query's result; behind the last head zeros.
fn put(query: u32, head: u32, four: u32, values: vec4<f32>) {
  let at = params.out_base + query / GROUP_HEADS * params.out_stride + head * FOURS + four;
  out[at] = values;
  if (PADDED && head + 1u == params.heads && four == FOURS - 1u) {
    for (var i = 1u; i <= params.padding; i++) {
      out[at + i] = vec4<f32>();
    }
  }
}

// Four columns of what one of the splits has summed up with weights of that total.
fn put_partial(head: u32, four: u32, split: u32, splits: u32, maximum: f32, total: f32, sums: vec4<f32>) {
  let base = (head * splits + split) * (FOURS + 1u);
  partial[base + four] = sums;
  if (four == 0u) {
    partial[base + FOURS] = vec4<f32>(maximum, total, 0.0, 0.0);
  }
}

// Of one split the result.
fn put_sums(query: u32, head: u32, four: u32, split: u32, splits: u32, maximum: f32, total: f32, sums: vec4<f32>) {
  if (splits == 1u) {
    put(query, head, four, sums / total);
  } else {
    put_partial(head, four, split, splits, maximum, total, sums);
  }
}
