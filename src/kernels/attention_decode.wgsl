// Attention of decode, softmax kept online (arXiv 2205.14135), the visible positions split over SPLITS workgroups however
// many they are (Flash-Decoding). The queries are the heads of a kv head's group, which share every load of k and v. Of
// TILE positions at a time LANES threads share a key, each some of its pairs, then each thread owns a pair of the values
// at some of the positions. With one split the result goes to `out`, which is the queries' own place with IN_PLACE; else
// unfinished sums go to `partial` for the combine kernel: for each head and split VALUE sums, then the maximum and the sum
// of weights (padded to four). A sink starts the softmax of a query with its logit and no value.

const STEPS = (K_PAIRS + LANES - 1u) / LANES;           // pairs of a key that a thread takes
const COLUMNS = (V_PAIRS + WORKGROUP - 1u) / WORKGROUP;  // pairs of the values that a thread owns
const SLICES = max(WORKGROUP / V_PAIRS, 1u);             // threads that own the same, at other positions
const QUADS = (VECTORS + 3u) / 4u;                       // vectors that hold a number for each query
const ITEMS = (TILE * QUADS + WORKGROUP - 1u) / WORKGROUP;
const GROUPS = 8u;
const KEPT = VECTORS * STEPS <= 8u;  // queries stay in registers
const OWN_QUERIES = min(VECTORS * STEPS, 8u);
const BATCH = clamp(SCRATCH / (2u * WORKGROUP), 1u, VECTORS);  // queries whose sums are joined at once

var<workgroup> scratch: array<vec4<f32>, SCRATCH>;        // parts of scores, at the end of sums
var<workgroup> weights: array<vec4<f32>, TILE * QUADS>;   // exp(score − maximum)
var<workgroup> thread_value: array<vec4<f32>, WORKGROUP>;
var<workgroup> group_value: array<vec4<f32>, GROUPS>;

fn run(group: vec3<u32>, local: u32) {
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

  load_queries(kv_head, first_query, queries, local);

  let lane = local % LANES;
  var own: array<Pair, OWN_QUERIES>;
  if (KEPT) {
    for (var i = 0u; i < OWN_QUERIES; i++) {
      own[i] = query_pair(i / STEPS, i % STEPS * LANES + lane);
    }
  }
  var maximum: array<vec4<f32>, QUADS>;
  var own_sum = vec4<f32>();  // of the weights that this thread makes
  for (var w = 0u; w < QUADS; w++) {
    maximum[w] = vec4<f32>(LOWEST);
    if (SINKS && group.x == 0u) {
      for (var m = 4u * w; m < min(4u * w + 4u, VECTORS); m++) {
        maximum[w][m % 4u] = sinks[head_of(kv_head, min(first_query + m, queries - 1u))];
      }
      own_sum = vec4<f32>(select(0.0, 1.0, local < QUADS));
    }
  }
  var sums: array<Pair, VECTORS * COLUMNS>;

  for (var tile = begin; tile < end; tile += TILE) {
    let count = min(TILE, end - tile);
    // Rows behind the end are those of the last position, and weigh nothing: so all threads take as many rounds.
    for (var round = 0u; round * (WORKGROUP / LANES) < count; round++) {
      let i = round * (WORKGROUP / LANES) + local / LANES;
      var parts = array<vec4<f32>, QUADS>();  // explicit: not every compiler zeroes a variable again on each round
      let row = row_of(kv_head, first_row + min(tile + i, end - 1u) - begin);
      for (var s = 0u; s < STEPS; s++) {
        let at = s * LANES + lane;
        if (K_PAIRS % LANES == 0u || at < K_PAIRS) {
          let k = k_pair(row, at);
          for (var m = 0u; m < VECTORS; m++) {
            var each: Pair;
            if (KEPT) {
              each = own[(m * STEPS + s) % OWN_QUERIES];
            } else {
              each = query_pair(m, at);
            }
            parts[m / 4u][m % 4u] += dot(k.a, each.a) + dot(k.b, each.b);
          }
        }
      }
      share_parts(&parts, i, lane);
    }
    workgroupBarrier();

    var scores: array<vec4<f32>, ITEMS>;
    var visible: array<vec4<bool>, ITEMS>;
    var own_maximum = vec4<f32>(LOWEST);
    for (var i = 0u; i < ITEMS; i++) {
      let item = local + i * WORKGROUP;
      if (item < TILE * QUADS) {
        let position = tile + item / QUADS;
        var score = joined_parts(item / QUADS, item % QUADS);
        if (SOFT_CAP) {
          score = params.soft_cap * vec4<f32>(tanh_of(score.x / params.soft_cap), tanh_of(score.y / params.soft_cap),
                                              tanh_of(score.z / params.soft_cap), tanh_of(score.w / params.soft_cap));
        }
        scores[i] = score;
        visible[i] = sees(first_query + item % QUADS * 4u, position, end);
        own_maximum = max(own_maximum, select(vec4<f32>(LOWEST), score, visible[i]));
      }
    }
    thread_value[local] = own_maximum;
    workgroupBarrier();

    if (local < GROUPS) {
      var value = thread_value[local];
      for (var i = local + GROUPS; i < WORKGROUP; i += GROUPS) {
        value = max(value, thread_value[i]);
      }
      group_value[local] = value;
    }
    workgroupBarrier();

    var shrink: array<vec4<f32>, QUADS>;
    for (var w = 0u; w < QUADS; w++) {
      var new_maximum = maximum[w];
      for (var i = w; i < GROUPS; i += QUADS) {
        new_maximum = max(new_maximum, group_value[i]);
      }
      shrink[w] = exp(maximum[w] - new_maximum);
      maximum[w] = new_maximum;
    }
    let quad = local % QUADS;
    own_sum *= shrink[quad];
    for (var i = 0u; i < ITEMS; i++) {
      let item = local + i * WORKGROUP;
      if (item < TILE * QUADS) {
        let weight = select(vec4<f32>(), exp(scores[i] - maximum[quad]), visible[i]);
        weights[item] = weight;
        own_sum += weight;
      }
    }
    workgroupBarrier();

    for (var m = 0u; m < VECTORS; m++) {
      for (var c = 0u; c < COLUMNS; c++) {
        sums[m * COLUMNS + c].a *= shrink[m / 4u][m % 4u];
        sums[m * COLUMNS + c].b *= shrink[m / 4u][m % 4u];
      }
    }
    if (SLICES * V_PAIRS == WORKGROUP || local < SLICES * V_PAIRS) {
      for (var round = 0u; round * SLICES < count; round++) {
        let i = round * SLICES + local / V_PAIRS % SLICES;
        if (TILE % SLICES == 0u || i < TILE) {
          let row = row_of(kv_head, first_row + min(tile + i, end - 1u) - begin);
          for (var c = 0u; c < COLUMNS; c++) {
            let at = c * WORKGROUP + local % V_PAIRS;
            if (COLUMNS == 1u || at < V_PAIRS) {
              let v = v_pair(row, at);
              for (var m = 0u; m < VECTORS; m++) {
                let weight = weights[i * QUADS + m / 4u][m % 4u];
                sums[m * COLUMNS + c].a += weight * v.a;
                sums[m * COLUMNS + c].b += weight * v.b;
              }
            }
          }
        }
      }
    }
  }

  thread_value[local] = own_sum;
  workgroupBarrier();
  if (local < GROUPS) {
    var value = thread_value[local];
    for (var i = local + GROUPS; i < WORKGROUP; i += GROUPS) {
      value += thread_value[i];
    }
    group_value[local] = value;
  }
  workgroupBarrier();
  if (local == 0u) {
    for (var w = 0u; w < QUADS; w++) {
      thread_value[w] = maximum[w];
    }
  }
  for (var first = 0u; first < VECTORS; first += BATCH) {
    for (var c = 0u; c < COLUMNS; c++) {
      for (var i = 0u; i < BATCH; i++) {
        scratch[2u * i * WORKGROUP + local] = sums[(first + i) * COLUMNS + c].a;
        scratch[(2u * i + 1u) * WORKGROUP + local] = sums[(first + i) * COLUMNS + c].b;
      }
      workgroupBarrier();
      let fours = 2u * min(WORKGROUP, V_PAIRS - c * WORKGROUP);
      for (var cell = local; cell < BATCH * fours; cell += WORKGROUP) {
        let m = cell / fours;
        let four = cell % fours;
        let at = (2u * m + four % 2u) * WORKGROUP + four / 2u;
        var sum = scratch[at];
        for (var s = 1u; s < SLICES; s++) {
          sum += scratch[at + s * V_PAIRS];
        }
        finish(kv_head, first_query, first + m, 2u * c * WORKGROUP + four, group.x, sum);
      }
      workgroupBarrier();
    }
  }
}

// Which of four queries see a position before `end`.
fn sees(query: u32, position: u32, end: u32) -> vec4<bool> {
  var visible = vec4<bool>();
  for (var i = 0u; i < min(4u, VECTORS); i++) {
    let own = state.position + (query + i) / params.group_heads;
    visible[i] = position < end && position >= seen_from(own) && position < seen_until(own);
  }
  return visible;
}

fn finish(kv_head: u32, first_query: u32, m: u32, four: u32, split: u32, sums: vec4<f32>) {
  let query = first_query + m;
  if (four >= FOURS || query >= state.rows * params.group_heads) {
    return;
  }
  var total = 0.0;
  for (var i = m / 4u; i < GROUPS; i += QUADS) {
    total += group_value[i][m % 4u];
  }
  let maximum = thread_value[m / 4u][m % 4u];
  put_sums(query, head_of(kv_head, query), four, split, SPLITS, maximum, total, sums);
}
