// The queries of a workgroup by four: what a key, a weight or a position is to each of four is a vector, and so one
// operation. Of fewer than four the others count for nothing.

const QUADS = (VECTORS + 3u) / 4u;
const HADAMARD_FOURS = QUADS * k_FOURS;
const PRESENT = vec4<bool>(true, VECTORS > 1u, VECTORS > 2u, VECTORS > 3u);

var<workgroup> q_tile: array<mat4x4<f32>, HADAMARD_FOURS>;  // [quad][group of four numbers], a column for each query

fn load_queries(kv_head: u32, first_query: u32, last_query: u32, local: u32) {
  for (var i = local; i < 4u * HADAMARD_FOURS; i += WORKGROUP) {
    let query = i / k_FOURS;
    let four = i % k_FOURS;
    q_tile[query / 4u * k_FOURS + four][query % 4u] = query_four(kv_head, min(first_query + query, last_query), four);
  }
  if (HADAMARD > 1u) {
    workgroupBarrier();
    hadamard_transform(local);
  }
  workgroupBarrier();
}

// Rows for the queries, columns for a pair of groups of four of their numbers.
struct Queries {
  a: mat4x4<f32>,
  b: mat4x4<f32>,
}

fn four_queries(quad: u32, pair: u32) -> Queries {
  let at = quad * k_FOURS + 2u * pair;
  let a = query_rows(q_tile[at]);
  if (k_FOURS % 2u == 1u && 2u * pair + 1u >= k_FOURS) {
    return Queries(a, mat4x4<f32>());
  }
  return Queries(a, query_rows(q_tile[at + 1u]));
}

fn query_rows(q: mat4x4<f32>) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(q[0], select(vec4<f32>(), q[1], PRESENT.y), select(vec4<f32>(), q[2], PRESENT.z),
                               select(vec4<f32>(), q[3], PRESENT.w)));
}

// sums + q · k
fn add_dots(sums: vec4<f32>, k: Pair, q: Queries) -> vec4<f32> {
  return add_four_dots(add_four_dots(sums, k.a, q.a), k.b, q.b);
}

fn add_four_dots(sums: vec4<f32>, k: vec4<f32>, q: mat4x4<f32>) -> vec4<f32> {
  return fma(q[3], vec4<f32>(k.w), fma(q[2], vec4<f32>(k.z), fma(q[1], vec4<f32>(k.y), fma(q[0], vec4<f32>(k.x), sums))));
}

// Results of four queries, a column for each.
fn add_values(sums: mat4x4<f32>, weights: vec4<f32>, v: vec4<f32>) -> mat4x4<f32> {
  let w = select(vec4<f32>(), weights, PRESENT);
  return mat4x4<f32>(fma(vec4<f32>(w.x), v, sums[0]), fma(vec4<f32>(w.y), v, sums[1]), fma(vec4<f32>(w.z), v, sums[2]),
                     fma(vec4<f32>(w.w), v, sums[3]));
}

fn scaled_columns(sums: mat4x4<f32>, scales: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(scales.x * sums[0], scales.y * sums[1], scales.z * sums[2], scales.w * sums[3]);
}

// Of the four queries from `first` on.
struct FourQueries {
  from_position: vec4<u32>,  // what they see,
  until_position: vec4<u32>,  // and the position behind
  sinks: vec4<f32>,  // LOWEST where there are none
}

fn four_from(kv_head: u32, first: u32) -> FourQueries {
  let token = first / GROUP_HEADS;
  let heads = first - token * GROUP_HEADS + vec4<u32>(0u, 1u, 2u, 3u);
  let tokens_on = vec4<u32>(heads >= vec4<u32>(GROUP_HEADS)) + vec4<u32>(heads >= vec4<u32>(2u * GROUP_HEADS)) +
                  vec4<u32>(heads >= vec4<u32>(3u * GROUP_HEADS));
  let own = state.position + token + tokens_on;
  var four: FourQueries;
  four.from_position = vec4<u32>(seen_from(own.x), seen_from(own.y), seen_from(own.z), seen_from(own.w));
  four.until_position = vec4<u32>(seen_until(own.x), seen_until(own.y), seen_until(own.z), seen_until(own.w));
  four.sinks = vec4<f32>(LOWEST);
  if (SINKS) {
    let at = kv_head * GROUP_HEADS + heads - GROUP_HEADS * tokens_on;
    four.sinks = vec4<f32>(sinks[at.x], sinks[at.y], sinks[at.z], sinks[at.w]);
  }
  return four;
}

// Scores of a position, LOWEST for those who do not see it.
fn seen_scores(four: FourQueries, position: u32, scores: vec4<f32>) -> vec4<f32> {
  var s = scores;
  if (SOFT_CAP) {
    s /= params.soft_cap;
    s = params.soft_cap * vec4<f32>(tanh_of(s.x), tanh_of(s.y), tanh_of(s.z), tanh_of(s.w));
  }
  let at = vec4<u32>(position);
  return select(vec4<f32>(LOWEST), s, (at >= four.from_position) & (at < four.until_position));
}

fn weights_of(scores: vec4<f32>, maximum: vec4<f32>) -> vec4<f32> {
  return select(vec4<f32>(), exp(scores - maximum), scores > vec4<f32>(LOWEST));
}
