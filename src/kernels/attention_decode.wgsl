// Attention of decode, softmax kept online (arXiv 2205.14135), the visible positions split over SPLITS workgroups however
// many they are (Flash-Decoding). The queries are the heads of a kv head's group, which share every load of k and v. Of
// TILE positions at a time LANES threads share a key, each some of its pairs, then each thread owns a pair of the values
// at some of the positions. With one split the result goes to `out`, which is the queries' own place with IN_PLACE; else
// unfinished sums go to `partial` for the combine kernel: for each head and split VALUE sums, then the maximum and the sum
// of weights (padded to four). A sink starts the softmax of a query with its logit and no value.

const STEPS = (K_PAIRS + LANES - 1u) / LANES;           // pairs of a key that a thread takes
const COLUMNS = (V_PAIRS + WORKGROUP - 1u) / WORKGROUP;  // pairs of the values that a thread owns
const SLICES = max(WORKGROUP / V_PAIRS, 1u);             // threads that own the same, at other positions
const OWNED = min(WORKGROUP, V_PAIRS);                   // pairs of the values that threads of a slice own at once
const CELLS = (min(4u, VECTORS) * OWNED + WORKGROUP - 1u) / WORKGROUP;
const ITEMS = (TILE * QUADS + WORKGROUP - 1u) / WORKGROUP;
const GROUPS = 8u;
const KEPT = VECTORS * STEPS <= 8u;  // queries stay in registers
const OWN_QUADS = select(1u, QUADS * STEPS, KEPT);

var<workgroup> scratch: array<vec4<f32>, SCRATCH>;  // parts of scores, then a value of each group; at the end sums of four queries
const THREAD_VALUES = max(TILE * QUADS, WORKGROUP);
var<workgroup> weights: array<vec4<f32>, THREAD_VALUES>;  // exp(score − maximum), and before them a value of each thread

fn run(group: vec3<u32>, local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let kv_head = group.y;
  let first_query = group.z * VECTORS;  // queries of a kv head are numbered token by token, head by head
  let last_query = min(first_query + VECTORS, state.rows * GROUP_HEADS) - 1u;
  let first_seen = seen_from(state.position + first_query / GROUP_HEADS);
  let length = seen_until(state.position + last_query / GROUP_HEADS) - first_seen;
  let share = (length + SPLITS - 1u) / SPLITS;
  let begin = first_seen + min(group.x * share, length);
  let end = first_seen + min((group.x + 1u) * share, length);
  let first_row = begin % params.capacity;

  load_queries(kv_head, first_query, last_query, local);

  let lane = local % LANES;
  var own: array<Queries, OWN_QUADS>;
  if (KEPT) {
    for (var i = 0u; i < OWN_QUADS; i++) {
      own[i] = four_queries(i / STEPS, i % STEPS * LANES + lane);
    }
  }
  let quad = local % QUADS;  // of the queries whose weights this thread makes
  var four = four_from(kv_head, first_query + 4u * quad);
  four.until_position = min(four.until_position, vec4<u32>(end));
  var maximum: array<vec4<f32>, QUADS>;
  for (var w = 0u; w < QUADS; w++) {
    maximum[w] = vec4<f32>(LOWEST);
    if (SINKS && group.x == 0u) {
      maximum[w] = four_from(kv_head, first_query + 4u * w).sinks;
    }
  }
  var own_sum = vec4<f32>(select(0.0, 1.0, SINKS && group.x == 0u && local < QUADS));  // of the weights that this thread makes
  var sums: array<mat4x4<f32>, 2u * QUADS * COLUMNS>;  // [column][quad][half of the pair]

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
          for (var w = 0u; w < QUADS; w++) {
            if (KEPT) {
              parts[w] = add_dots(parts[w], k, own[(w * STEPS + s) % OWN_QUADS]);
            } else {
              parts[w] = add_dots(parts[w], k, four_queries(w, at));
            }
          }
        }
      }
      share_parts(&parts, i, lane);
    }
    workgroupBarrier();

    var scores: array<vec4<f32>, ITEMS>;
    var own_maximum = vec4<f32>(LOWEST);
    for (var i = 0u; i < ITEMS; i++) {
      let item = local + i * WORKGROUP;
      if (TILE * QUADS % WORKGROUP == 0u || item < TILE * QUADS) {
        scores[i] = seen_scores(four, tile + item / QUADS, joined_parts(item / QUADS, quad));
        own_maximum = max(own_maximum, scores[i]);
      }
    }
    weights[local] = own_maximum;
    workgroupBarrier();

    if (local < GROUPS) {
      var value = weights[local];
      for (var i = 1u; i < WORKGROUP / GROUPS; i++) {
        value = max(value, weights[local + i * GROUPS]);
      }
      scratch[local] = value;
    }
    workgroupBarrier();

    var shrink: array<vec4<f32>, QUADS>;
    for (var w = 0u; w < QUADS; w++) {
      var new_maximum = maximum[w];
      for (var i = w; i < GROUPS; i += QUADS) {
        new_maximum = max(new_maximum, scratch[i]);
      }
      shrink[w] = exp(maximum[w] - new_maximum);
      maximum[w] = new_maximum;
    }
    own_sum *= shrink[quad];
    for (var i = 0u; i < ITEMS; i++) {
      let item = local + i * WORKGROUP;
      if (TILE * QUADS % WORKGROUP == 0u || item < TILE * QUADS) {
        let weight = weights_of(scores[i], maximum[quad]);
        weights[item] = weight;
        own_sum += weight;
      }
    }
    workgroupBarrier();

    for (var i = 0u; i < 2u * QUADS * COLUMNS; i++) {
      sums[i] = scaled_columns(sums[i], shrink[i / 2u % QUADS]);
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
              for (var w = 0u; w < QUADS; w++) {
                let weight = weights[i * QUADS + w];
                let n = 2u * (c * QUADS + w);
                sums[n] = add_values(sums[n], weight, v.a);
                sums[n + 1u] = add_values(sums[n + 1u], weight, v.b);
              }
            }
          }
        }
      }
    }
  }

  workgroupBarrier();
  weights[local] = own_sum;
  workgroupBarrier();
  if (local < GROUPS) {
    var value = weights[local];
    for (var i = 1u; i < WORKGROUP / GROUPS; i++) {
      value += weights[local + i * GROUPS];
    }
    scratch[local] = value;
  }
  workgroupBarrier();
  var total: array<vec4<f32>, QUADS>;
  for (var i = 0u; i < GROUPS; i++) {
    total[i % QUADS] += scratch[i];
  }
  workgroupBarrier();
  for (var i = 0u; i < rolled(2u * QUADS * COLUMNS); i++) {
    for (var m = 0u; m < min(4u, VECTORS); m++) {
      scratch[m * WORKGROUP + local] = sums[i][m];
    }
    workgroupBarrier();
    let w = i / 2u % QUADS;
    let first_pair = i / 2u / QUADS * WORKGROUP;
    for (var c = 0u; c < CELLS; c++) {
      let m = (local + c * WORKGROUP) / OWNED;
      let pair = (local + c * WORKGROUP) % OWNED;
      let query = first_query + 4u * w + m;
      let four = 2u * (first_pair + pair) + i % 2u;
      if (m < min(4u, VECTORS) && query <= last_query && four < FOURS) {
        var sum = scratch[m * WORKGROUP + pair];
        for (var s = 1u; s < SLICES; s++) {
          sum += scratch[m * WORKGROUP + pair + s * V_PAIRS];
        }
        let head = head_of(kv_head, query);
        if (SPLITS == 1u) {
          put(query, head, four, sum / total[w][m]);
        } else {
          put_partial(head, four, group.x, SPLITS, maximum[w][m], total[w][m], sum);
        }
      }
    }
    workgroupBarrier();
  }
}
