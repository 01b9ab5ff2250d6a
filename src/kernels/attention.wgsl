// Attention of several tokens, softmax kept online (arXiv 2205.14135): the queries of a workgroup, the heads of a kv head's
// group for each token, share every load of k and v. A thread takes a position, then pairs of the results. A sink starts
// the softmax of a query with its logit and no value.

const CELLS = VECTORS * V_PAIRS;                   // pairs of outputs that the workgroup computes
const OWN = (CELLS + WORKGROUP - 1u) / WORKGROUP;  // of these, the most that one thread computes
const TEAM = WORKGROUP / VECTORS;                  // threads that share the softmax of one query

var<workgroup> weights: array<f32, VECTORS * WORKGROUP>;  // scores, then exp(score − maximum), of as many positions
var<workgroup> team_value: array<f32, WORKGROUP>;
var<workgroup> maximum: array<f32, VECTORS>;
var<workgroup> rescale: array<f32, VECTORS>;

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

  load_queries(kv_head, first_query, queries, local);
  if (local < VECTORS) {
    maximum[local] = LOWEST;
    if (SINKS) {
      maximum[local] = sinks[head_of(kv_head, min(first_query + local, queries - 1u))];
    }
  }
  workgroupBarrier();

  let my_query = local / TEAM;
  var my_sum = select(0.0, 1.0, SINKS && local % TEAM == 0u);
  var sums: array<Pair, OWN>;

  for (var tile = begin; tile < end; tile += WORKGROUP) {
    var scores = array<f32, VECTORS>();  // explicit: not every compiler zeroes a variable again on each round
    let position = tile + local;
    if (position < end) {
      let row = row_of(kv_head, first_row + position - begin);
      for (var d = 0u; d < K_PAIRS; d++) {
        let k = k_pair(row, d);
        for (var m = 0u; m < VECTORS; m++) {
          let each = query_pair(m, d);
          scores[m] += dot(k.a, each.a) + dot(k.b, each.b);
        }
      }
    }
    for (var m = 0u; m < VECTORS; m++) {
      let own = state.position + (first_query + m) / params.group_heads;
      let visible = position < end && position >= seen_from(own) && position < seen_until(own);
      var score = scores[m];
      if (SOFT_CAP) {
        score = params.soft_cap * tanh_of(score / params.soft_cap);
      }
      weights[m * WORKGROUP + local] = select(LOWEST, score, visible);
    }
    workgroupBarrier();

    var own_maximum = LOWEST;
    for (var i = local % TEAM; i < WORKGROUP; i += TEAM) {
      own_maximum = max(own_maximum, weights[my_query * WORKGROUP + i]);
    }
    team_value[local] = own_maximum;
    workgroupBarrier();

    var new_maximum = maximum[my_query];
    for (var i = 0u; i < TEAM; i++) {
      new_maximum = max(new_maximum, team_value[my_query * TEAM + i]);
    }
    let shrink = exp(maximum[my_query] - new_maximum);
    my_sum *= shrink;
    for (var i = local % TEAM; i < WORKGROUP; i += TEAM) {
      let score = weights[my_query * WORKGROUP + i];
      let weight = select(0.0, exp(score - new_maximum), score > LOWEST);
      weights[my_query * WORKGROUP + i] = weight;
      my_sum += weight;
    }
    workgroupBarrier();
    if (local % TEAM == 0u) {
      maximum[my_query] = new_maximum;
      rescale[my_query] = shrink;
    }
    workgroupBarrier();

    for (var o = 0u; o < OWN; o++) {
      let cell = local + o * WORKGROUP;
      if (cell < CELLS) {
        sums[o].a *= rescale[cell / V_PAIRS];
        sums[o].b *= rescale[cell / V_PAIRS];
      }
    }
    let count = min(WORKGROUP, end - tile);
    for (var i = 0u; i < count; i++) {
      let row = row_of(kv_head, first_row + tile + i - begin);
      if (WORKGROUP % V_PAIRS == 0u) {  // then all cells of a thread need the same columns of v
        let v = v_pair(row, local % V_PAIRS);
        for (var o = 0u; o < OWN; o++) {
          let weight = weights[min((local + o * WORKGROUP) / V_PAIRS, VECTORS - 1u) * WORKGROUP + i];
          sums[o].a += weight * v.a;
          sums[o].b += weight * v.b;
        }
        continue;
      }
      for (var o = 0u; o < OWN; o++) {
        let cell = local + o * WORKGROUP;
        if (cell < CELLS) {
          let v = v_pair(row, cell % V_PAIRS);
          sums[o].a += weights[cell / V_PAIRS * WORKGROUP + i] * v.a;
          sums[o].b += weights[cell / V_PAIRS * WORKGROUP + i] * v.b;
        }
      }
    }
    workgroupBarrier();
  }

  team_value[local] = my_sum;
  workgroupBarrier();
  for (var o = 0u; o < OWN; o++) {
    let cell = local + o * WORKGROUP;
    let query = first_query + cell / V_PAIRS;
    if (cell < CELLS && query < queries) {
      var total = 0.0;
      for (var i = 0u; i < TEAM; i++) {
        total += team_value[cell / V_PAIRS * TEAM + i];
      }
      let head = head_of(kv_head, query);
      let four = 2u * (cell % V_PAIRS);
      put(query, head, four, sums[o].a / total);
      if (four + 1u < FOURS) {
        put(query, head, four + 1u, sums[o].b / total);
      }
    }
  }
}
