// Attention of several tokens, softmax kept online (arXiv 2205.14135): the queries of a workgroup, the heads of a kv head's
// group for each token, share every load of k and v. A team of threads serves four queries: of a tile each thread takes
// two positions, then a pair of the results at some of the positions. A sink starts the softmax of a query with its logit
// and no value.

const TEAM = WORKGROUP / QUADS;
const TILE = 2u * TEAM;
const COLUMNS = (V_PAIRS + TEAM - 1u) / TEAM;  // pairs of the values that a thread owns
const SLICES = max(TEAM / V_PAIRS, 1u);        // threads of a team that own the same, at other positions
const GROUPS = min(8u, TEAM);                  // of a team's threads, whose values are joined first

var<workgroup> weights: array<vec4<f32>, 2u * WORKGROUP>;  // [team][position of the tile] exp(score − maximum)
var<workgroup> thread_value: array<array<vec4<f32>, TEAM / GROUPS>, QUADS * GROUPS>;
var<workgroup> group_value: array<array<vec4<f32>, GROUPS>, QUADS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let kv_head = group.y;
  let first_query = group.z * VECTORS;
  let last_query = min(first_query + VECTORS, state.rows * GROUP_HEADS) - 1u;
  let begin = seen_from(state.position + first_query / GROUP_HEADS);
  let end = seen_until(state.position + last_query / GROUP_HEADS);
  let first_row = begin % params.capacity;

  load_queries(kv_head, first_query, last_query, local);

  let team = local / TEAM;
  let lane = local % TEAM;
  let slice = lane / V_PAIRS;
  let column = lane % V_PAIRS;
  let four = four_from(kv_head, first_query + 4u * team);
  var maximum = four.sinks;
  var own_sum = vec4<f32>(select(0.0, 1.0, SINKS && lane == 0u));
  var sums: array<mat4x4<f32>, 2u * COLUMNS>;  // [column][half of the pair]

  for (var tile = begin; tile < end; tile += TILE) {
    let position = tile + lane;
    let row = row_of(kv_head, first_row + min(position, end - 1u) - begin);
    let next_row = row_of(kv_head, first_row + min(position + TEAM, end - 1u) - begin);
    var scores = vec4<f32>();  // explicit: not every compiler zeroes a variable again on each round
    var next_scores = vec4<f32>();
    for (var d = 0u; d < rolled(K_PAIRS); d++) {
      let k = k_pair(row, d);
      let next_k = k_pair(next_row, d);
      let q = four_queries(team, d);
      scores = add_dots(scores, k, q);
      next_scores = add_dots(next_scores, next_k, q);
    }
    scores = seen_scores(four, position, scores);
    next_scores = seen_scores(four, position + TEAM, next_scores);
    let new_maximum = max(maximum, of_team(local, max(scores, next_scores), true));
    let shrink = exp(maximum - new_maximum);
    maximum = new_maximum;
    let weight = weights_of(scores, maximum);
    let next_weight = weights_of(next_scores, maximum);
    own_sum = own_sum * shrink + weight + next_weight;
    weights[team * TILE + lane] = weight;
    weights[team * TILE + TEAM + lane] = next_weight;
    workgroupBarrier();

    for (var i = 0u; i < 2u * COLUMNS; i++) {
      sums[i] = scaled_columns(sums[i], shrink);
    }
    if (SLICES * V_PAIRS == TEAM || COLUMNS > 1u || slice < SLICES) {
      let count = min(TILE, end - tile);
      for (var first = 0u; first < count; first += SLICES) {
        let i = first + slice;  // behind the end weights are zeros
        if (TILE % SLICES == 0u || i < TILE) {
          let v_row = row_of(kv_head, first_row + min(tile + i, end - 1u) - begin);
          let own_weights = weights[team * TILE + i];
          for (var c = 0u; c < COLUMNS; c++) {
            let v = v_pair(v_row, min(c * TEAM + column, V_PAIRS - 1u));
            sums[2u * c] = add_values(sums[2u * c], own_weights, v.a);
            sums[2u * c + 1u] = add_values(sums[2u * c + 1u], own_weights, v.b);
          }
        }
      }
    }
  }

  let total = of_team(local, own_sum, false);
  for (var i = 0u; i < rolled(8u * COLUMNS); i++) {
    let at = i % 2u * WORKGROUP + local;  // two rounds' places in turn: a barrier a round will do
    weights[at] = sums[i / 8u * 2u + i % 2u][i / 2u % 4u];
    workgroupBarrier();
    let query = first_query + 4u * team + i / 2u % 4u;
    let at_four = 2u * (i / 8u * TEAM + column) + i % 2u;
    if (slice == 0u && query <= last_query && at_four < FOURS) {
      var sum = weights[at];
      for (var s = 1u; s < SLICES; s++) {
        sum += weights[at + s * V_PAIRS];
      }
      put(query, head_of(kv_head, query), at_four, sum / total[i / 2u % 4u]);
    }
  }
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
