// Attention over caches [kv head][position mod capacity][k_FOURS or v_FOURS groups of four], softmax kept online (arXiv
// 2205.14135), the visible positions split over SPLITS workgroups however many they are (Flash-Decoding). A workgroup
// serves VECTORS queries of one kv head: the heads of its group for one token in decode, of several tokens in prefill;
// they share every load of k and v. With one split the result goes to `out`, which is the queries' own place with
// IN_PLACE; else unfinished sums go to `partial` for the combine kernel: for each head and split VALUE sums, then the
// maximum and the sum of weights (padded to four). A sink starts the softmax of a query with its logit and no value.

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
const HADAMARD_FOURS = VECTORS * k_FOURS;
const CELLS = VECTORS * FOURS;                     // groups of four outputs that the workgroup computes
const OWN = (CELLS + WORKGROUP - 1u) / WORKGROUP;  // of these, the most that one thread computes
const TEAM = WORKGROUP / VECTORS;                  // threads that share the softmax of one query
const LOWEST = -3.0e38;

var<workgroup> q_tile: array<vec4<f32>, HADAMARD_FOURS>;
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
  let first_query = group.z * VECTORS;  // queries of a kv head are numbered token by token, head by head
  let queries = state.rows * params.group_heads;
  let last_query = min(first_query + VECTORS, queries) - 1u;
  let first_seen = seen_from(state.position + first_query / params.group_heads);
  let length = seen_until(state.position + last_query / params.group_heads) - first_seen;
  let share = (length + SPLITS - 1u) / SPLITS;
  let begin = first_seen + min(group.x * share, length);
  let end = first_seen + min((group.x + 1u) * share, length);
  let first_row = begin % params.capacity;

  for (var i = local; i < HADAMARD_FOURS; i += WORKGROUP) {
    let query = min(first_query + i / k_FOURS, queries - 1u);
    let at = params.q_base + query / params.group_heads * params.q_stride + head_of(kv_head, query) * k_FOURS + i % k_FOURS;
    if (IN_PLACE) {
      q_tile[i] = out[at] * params.scale;
    } else {
      q_tile[i] = q[at] * params.scale;
    }
  }
  if (HADAMARD > 1u) {
    hadamard_transform(local);
  }
  let sinks_here = SINKS && group.x == 0u;
  if (local < VECTORS) {
    maximum[local] = LOWEST;
    if (sinks_here) {
      maximum[local] = sinks[head_of(kv_head, min(first_query + local, queries - 1u))];
    }
  }
  workgroupBarrier();

  let my_query = local / TEAM;
  var my_sum = select(0.0, 1.0, sinks_here && local % TEAM == 0u);
  var sums: array<vec4<f32>, OWN>;

  for (var tile = begin; tile < end; tile += WORKGROUP) {
    var scores = array<f32, VECTORS>();  // explicit: not every compiler zeroes a variable again on each round
    let position = tile + local;
    if (position < end) {
      let row = row_of(kv_head, first_row + position - begin);
      for (var d = 0u; d < k_FOURS; d++) {
        let k = k_load(row, d);
        for (var m = 0u; m < VECTORS; m++) {
          scores[m] += dot(k, q_tile[m * k_FOURS + d]);
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
        sums[o] *= rescale[cell / FOURS];
      }
    }
    let count = min(WORKGROUP, end - tile);
    for (var i = 0u; i < count; i++) {
      let row = row_of(kv_head, first_row + tile + i - begin);
      if (WORKGROUP % FOURS == 0u) {  // then all cells of a thread need the same column of v
        let v = v_load(row, local % FOURS);
        for (var o = 0u; o < OWN; o++) {
          sums[o] += weights[min((local + o * WORKGROUP) / FOURS, VECTORS - 1u) * WORKGROUP + i] * v;
        }
        continue;
      }
      for (var o = 0u; o < OWN; o++) {
        let cell = local + o * WORKGROUP;
        if (cell < CELLS) {
          sums[o] += weights[cell / FOURS * WORKGROUP + i] * v_load(row, cell % FOURS);
        }
      }
    }
    workgroupBarrier();
  }

  team_value[local] = my_sum;
  workgroupBarrier();
  for (var o = 0u; o < OWN; o++) {
    let cell = local + o * WORKGROUP;
    let query = first_query + cell / FOURS;
    if (cell < CELLS && query < queries) {
      finish(kv_head, query, cell, group.x, sums[o]);
    }
  }
}

fn head_of(kv_head: u32, query: u32) -> u32 {
  return kv_head * params.group_heads + query % params.group_heads;
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

fn finish(kv_head: u32, query: u32, cell: u32, split: u32, sums: vec4<f32>) {
  let m = cell / FOURS;
  var total = 0.0;
  for (var i = 0u; i < TEAM; i++) {
    total += team_value[m * TEAM + i];
  }
  let head = head_of(kv_head, query);
  if (SPLITS == 1u) {
    let at = params.out_base + query / params.group_heads * params.out_stride + head * FOURS + cell % FOURS;
    out[at] = sums / total;
    if (head + 1u == params.heads && cell % FOURS == FOURS - 1u) {
      for (var i = 1u; i <= params.padding; i++) {
        out[at + i] = vec4<f32>();
      }
    }
    return;
  }
  let base = (head * SPLITS + split) * (FOURS + 1u);
  partial[base + cell % FOURS] = sums;
  if (cell % FOURS == 0u) {
    partial[base + FOURS] = vec4<f32>(maximum[m], total, 0.0, 0.0);
  }
}
