// Causal attention over a cache [kv head][position][HEAD_DIM], softmax kept online (arXiv 2205.14135), context split
// over SPLITS workgroups whatever its length (Flash-Decoding). A workgroup serves VECTORS queries of one kv head:
// the heads of its group for one token in decode, of several tokens in prefill; they share every load of k and v.
// With one split the result replaces the queries, else unfinished sums go to `partial` for the combine kernel:
// for each head and split HEAD_DIM sums, then the maximum and the sum of weights (padded to four).

@group(0) @binding(0) var<uniform> params: AttentionParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> k_cache: array<k_Cell>;
@group(0) @binding(3) var<storage, read> v_cache: array<v_Cell>;
@group(0) @binding(4) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> partial: array<vec4<f32>>;

const WORKGROUP = 64u;
const FOURS = HEAD_DIM / 4u;
const CELLS = VECTORS * FOURS;                     // groups of four outputs that the workgroup computes
const OWN = (CELLS + WORKGROUP - 1u) / WORKGROUP;  // of these, the most that one thread computes
const TEAM = WORKGROUP / VECTORS;                  // threads that share the softmax of one query
const LOWEST = -3.0e38;

var<workgroup> q_tile: array<vec4<f32>, CELLS>;
var<workgroup> weights: array<f32, VECTORS * WORKGROUP>;  // scores, then exp(score − maximum), of 64 positions
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
  let length = state.position + last_query / params.group_heads + 1u;
  let share = (length + SPLITS - 1u) / SPLITS;
  let begin = min(group.x * share, length);
  let end = min(begin + share, length);
  let cache_base = kv_head * params.context;

  for (var i = local; i < CELLS; i += WORKGROUP) {
    let query = min(first_query + i / FOURS, queries - 1u);
    q_tile[i] = q[query_base(kv_head, query) + i % FOURS] * params.scale;
  }
  if (local < VECTORS) {
    maximum[local] = LOWEST;
  }
  workgroupBarrier();

  let my_query = local / TEAM;
  var my_sum = 0.0;
  var sums: array<vec4<f32>, OWN>;

  for (var tile = begin; tile < end; tile += WORKGROUP) {
    var scores = array<f32, VECTORS>();  // explicit: not every compiler zeroes a variable again on each round
    let position = tile + local;
    if (position < end) {
      for (var d = 0u; d < FOURS; d++) {
        let k = k_load(cache_base + position, d);
        for (var m = 0u; m < VECTORS; m++) {
          scores[m] += dot(k, q_tile[m * FOURS + d]);
        }
      }
    }
    for (var m = 0u; m < VECTORS; m++) {
      let visible = position < end && position <= state.position + (first_query + m) / params.group_heads;
      weights[m * WORKGROUP + local] = select(LOWEST, scores[m], visible);
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
      let row = cache_base + tile + i;
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

fn query_base(kv_head: u32, query: u32) -> u32 {
  return query / params.group_heads * params.stride + (kv_head * params.group_heads + query % params.group_heads) * FOURS;
}

fn finish(kv_head: u32, query: u32, cell: u32, split: u32, sums: vec4<f32>) {
  let m = cell / FOURS;
  var total = 0.0;
  for (var i = 0u; i < TEAM; i++) {
    total += team_value[m * TEAM + i];
  }
  if (SPLITS == 1u) {
    q[query_base(kv_head, query) + cell % FOURS] = sums / total;
    return;
  }
  let base = ((kv_head * params.group_heads + query) * SPLITS + split) * (FOURS + 1u);
  partial[base + cell % FOURS] = sums;
  if (cell % FOURS == 0u) {
    partial[base + FOURS] = vec4<f32>(maximum[m], total, 0.0, 0.0);
  }
}
