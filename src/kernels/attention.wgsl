// Attention of several tokens, softmax kept online (arXiv 2205.14135): the queries of a workgroup, the heads of a kv head's
// group for each token, share every load of k and v. A team of threads serves four queries: of a tile each thread takes
// two positions, then a pair of the results at some of the positions. A sink starts the softmax of a query with its logit
// and no value.

const QUADS = (VECTORS + 3u) / 4u;
const TEAM = WORKGROUP / QUADS;
const TILE = 2u * TEAM;
const COLUMNS = (V_PAIRS + TEAM - 1u) / TEAM;  // pairs of the values that a thread owns
const SLICES = max(TEAM / V_PAIRS, 1u);        // threads of a team that own the same, at other positions
const GROUPS = min(8u, TEAM);                  // of a team, whose values are joined first
const HADAMARD_FOURS = QUADS * k_FOURS;

var<workgroup> q_tile: array<mat4x4<f32>, HADAMARD_FOURS>;     // [team][four numbers][query of the team]
var<workgroup> weights: array<vec4<f32>, 2u * WORKGROUP>;      // [team][position of the tile] exp(score − maximum)
var<workgroup> thread_value: array<array<vec4<f32>, TEAM / GROUPS>, QUADS * GROUPS>;
var<workgroup> group_value: array<array<vec4<f32>, GROUPS>, QUADS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let kv_head = group.y;
  let first_query = group.z * VECTORS;
  let queries = state.rows * params.group_heads;
  let last_query = min(first_query + VECTORS, queries) - 1u;
  let begin = seen_from(state.position + first_query / params.group_heads);
  let end = seen_until(state.position + last_query / params.group_heads);
  let first_row = begin % params.capacity;

  load_queries(kv_head, first_query, last_query, local);

  let team = local / TEAM;
  let lane = local % TEAM;
  let slice = lane / V_PAIRS;
  let column = lane % V_PAIRS;
  let first_own = first_query + 4u * team;
  let first_token = first_own / params.group_heads;
  var maximum = vec4<f32>(LOWEST);
  var seen: array<vec4<u32>, 2>;  // of each query the first position, and the one behind the last
  var token = state.position + first_token;
  var own_head = first_own - first_token * params.group_heads;
  for (var m = 0u; m < 4u; m++) {
    seen[0][m] = seen_from(token);
    seen[1][m] = seen_until(token);
    if (SINKS) {
      maximum[m] = sinks[kv_head * params.group_heads + own_head];
    }
    own_head++;
    if (own_head == params.group_heads) {
      own_head = 0u;
      token++;
    }
  }
  var own_sum = vec4<f32>(select(0.0, 1.0, SINKS && lane == 0u));
  var sums: array<vec4<f32>, 8u * COLUMNS>;  // [column][query][half of the pair]
  let pairs = min(K_PAIRS, params.q_stride);  // K_PAIRS, which no compiler can see: to unroll the loop costs more than it gains

  for (var tile = begin; tile < end; tile += TILE) {
    var scores = array<vec4<f32>, 2>();  // explicit: not every compiler zeroes a variable again on each round
    let row = row_of(kv_head, first_row + min(tile + lane, end - 1u) - begin);
    let next_row = row_of(kv_head, first_row + min(tile + TEAM + lane, end - 1u) - begin);
    for (var d = 0u; d < pairs; d++) {
      let at = team * k_FOURS + 2u * d;
      let k = k_pair(row, d);
      let next = k_pair(next_row, d);
      let a = q_tile[at];
      scores[0] = add_dots(scores[0], k.a, a);
      scores[1] = add_dots(scores[1], next.a, a);
      if (k_FOURS % 2u == 0u || 2u * d + 1u < k_FOURS) {
        let b = q_tile[at + 1u];
        scores[0] = add_dots(scores[0], k.b, b);
        scores[1] = add_dots(scores[1], next.b, b);
      }
    }
    for (var i = 0u; i < 2u; i++) {
      let position = vec4<u32>(tile + i * TEAM + lane);
      if (SOFT_CAP) {
        let score = scores[i] / params.soft_cap;
        scores[i] = params.soft_cap * vec4<f32>(tanh_of(score.x), tanh_of(score.y), tanh_of(score.z), tanh_of(score.w));
      }
      scores[i] = select(vec4<f32>(LOWEST), scores[i], (position >= seen[0]) & (position < seen[1]));
    }
    let new_maximum = max(maximum, of_team(local, max(scores[0], scores[1]), true));
    let shrink = exp(maximum - new_maximum);
    maximum = new_maximum;
    own_sum *= shrink;
    for (var i = 0u; i < 2u; i++) {
      let weight = select(vec4<f32>(), exp(scores[i] - maximum), scores[i] > vec4<f32>(LOWEST));
      weights[team * TILE + i * TEAM + lane] = weight;
      own_sum += weight;
    }
    workgroupBarrier();

    for (var i = 0u; i < 8u * COLUMNS; i++) {
      sums[i] *= shrink[i / 2u % 4u];
    }
    if (SLICES * V_PAIRS == TEAM || COLUMNS > 1u || slice < SLICES) {
      let count = min(TILE, end - tile);
      for (var first = 0u; first < count; first += SLICES) {
        let i = first + slice;  // behind the end weights are zeros
        if (TILE % SLICES == 0u || i < TILE) {
          let v_row = row_of(kv_head, first_row + min(tile + i, end - 1u) - begin);
          let weight = weights[team * TILE + i];
          for (var c = 0u; c < COLUMNS; c++) {
            let v = v_pair(v_row, min(c * TEAM + column, V_PAIRS - 1u));
            for (var m = 0u; m < 4u; m++) {
              sums[8u * c + 2u * m] += weight[m] * v.a;
              sums[8u * c + 2u * m + 1u] += weight[m] * v.b;
            }
          }
        }
      }
    }
  }

  let total = of_team(local, own_sum, false);
  for (var i = 0u; i < 8u * COLUMNS; i++) {
    let at = i % 2u * WORKGROUP + local;  // two rounds' places in turn: a barrier a round will do
    weights[at] = sums[i];
    workgroupBarrier();
    let query = first_own + i / 2u % 4u;
    let four = 2u * (i / 8u * TEAM + column) + i % 2u;
    if (slice == 0u && query <= last_query && four < FOURS) {
      var sum = sums[i];
      for (var s = 1u; s < SLICES; s++) {
        sum += weights[at + s * V_PAIRS];
      }
      put(query, head_of(kv_head, query), four, sum / total[i / 2u % 4u]);
    }
  }
}

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

// Four numbers of a key by those of four queries.
fn add_dots(sums: vec4<f32>, k: vec4<f32>, q: mat4x4<f32>) -> vec4<f32> {
  let t = transpose(q);
  return fma(t[3], vec4<f32>(k.w), fma(t[2], vec4<f32>(k.z), fma(t[1], vec4<f32>(k.y), fma(t[0], vec4<f32>(k.x), sums))));
}

// The largest value of a team, or the sum: in two steps.
fn of_team(local: u32, own: vec4<f32>, largest: bool) -> vec4<f32> {
  thread_value[local / (TEAM / GROUPS)][local % (TEAM / GROUPS)] = own;
  workgroupBarrier();
  if (local < QUADS * GROUPS) {
    var value = thread_value[local][0];
    for (var i = 1u; i < TEAM / GROUPS; i++) {
      value = joined(value, thread_value[local][i], largest);
    }
    group_value[local / GROUPS][local % GROUPS] = value;
  }
  workgroupBarrier();
  let team = local / TEAM;
  var value = group_value[team][0];
  for (var i = 1u; i < GROUPS; i++) {
    value = joined(value, group_value[team][i], largest);
  }
  return value;
}

fn joined(a: vec4<f32>, b: vec4<f32>, largest: bool) -> vec4<f32> {
  return select(a + b, max(a, b), largest);
}
