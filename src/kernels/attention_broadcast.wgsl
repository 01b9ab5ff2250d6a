// Attention of prefill and of decode for devices whose threads are the lanes of a CPU, for the reasons of lanes_common.wgsl.
// A workgroup is LANES lanes of a subgroup, which need no barrier: a lane scores every LANES-th position of a tile and sums
// up its own pairs of the values; queries, and the weights of the others' positions, come by broadcasts. The visible
// positions are split over as many workgroups as there are in x, see attention_decode.wgsl.

const LANES = WORKGROUP;
const CHUNK = 8u;                                // pairs of a key that a lane holds at a time
const LOADS = 2u * CHUNK / LANES;                // groups of four of a query that a lane loads for them
const ROUNDS = TILE / LANES;                     // positions of a tile that a lane scores
const COLUMNS = (V_PAIRS + LANES - 1u) / LANES;  // pairs of the values that a lane owns

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32) {
  if (state.finished != 0u) {
    return;
  }
  let kv_head = group.y;
  let first_query = group.z * VECTORS;
  let queries = state.rows * params.group_heads;
  let count = min(VECTORS, queries - first_query);  // no constant: a loop that is unrolled compiles long
  let last_query = first_query + count - 1u;
  let first_seen = seen_from(state.position + first_query / params.group_heads);
  let length = seen_until(state.position + last_query / params.group_heads) - first_seen;
  let share = (length + groups.x - 1u) / groups.x;
  let begin = first_seen + min(group.x * share, length);
  let end = first_seen + min((group.x + 1u) * share, length);
  let first_row = begin % params.capacity;

  load_queries(kv_head, first_query, queries, local);

  var maximum: array<f32, VECTORS>;
  var total: array<f32, VECTORS>;  // of this lane's weights
  var sums: array<Pair, VECTORS * COLUMNS>;
  var scores: array<f32, VECTORS * ROUNDS>;
  for (var m = 0u; m < count; m++) {
    maximum[m] = LOWEST;
    if (SINKS && group.x == 0u) {
      maximum[m] = sinks[head_of(kv_head, first_query + m)];
      total[m] = select(0.0, 1.0, lane == 0u);
    }
  }

  for (var tile = begin; tile < end; tile += TILE) {
    let rounds = min(ROUNDS, (end - tile + LANES - 1u) / LANES);
    let tile_row = first_row + tile - begin;
    let last = end - 1u - tile;
    for (var r = 0u; r < rounds; r++) {
      let row = row_of(kv_head, tile_row + min(r * LANES + lane, last));
      for (var first = 0u; first < K_PAIRS; first += CHUNK) {
        var keys = array<Pair, CHUNK>();
        for (var i = 0u; i < CHUNK; i++) {
          if (first + i < K_PAIRS) {
            keys[i] = k_pair(row, first + i);
          }
        }
        for (var m = 0u; m < count; m++) {
          var own = array<vec4<f32>, LOADS>();
          for (var i = 0u; i < LOADS; i++) {
            let four = 2u * first + lane + i * LANES;
            if (four < k_FOURS) {
              own[i] = q_tile[m * k_FOURS + four];
            }
          }
          var score = 0.0;
          if (first > 0u) {
            score = scores[m * ROUNDS + r];
          }
          score = add_dot(score, keys[0].a, subgroupBroadcast(own[0u / LANES], 0u % LANES));
          score = add_dot(score, keys[0].b, subgroupBroadcast(own[1u / LANES], 1u % LANES));
          score = add_dot(score, keys[1].a, subgroupBroadcast(own[2u / LANES], 2u % LANES));
          score = add_dot(score, keys[1].b, subgroupBroadcast(own[3u / LANES], 3u % LANES));
          score = add_dot(score, keys[2].a, subgroupBroadcast(own[4u / LANES], 4u % LANES));
          score = add_dot(score, keys[2].b, subgroupBroadcast(own[5u / LANES], 5u % LANES));
          score = add_dot(score, keys[3].a, subgroupBroadcast(own[6u / LANES], 6u % LANES));
          score = add_dot(score, keys[3].b, subgroupBroadcast(own[7u / LANES], 7u % LANES));
          score = add_dot(score, keys[4].a, subgroupBroadcast(own[8u / LANES], 8u % LANES));
          score = add_dot(score, keys[4].b, subgroupBroadcast(own[9u / LANES], 9u % LANES));
          score = add_dot(score, keys[5].a, subgroupBroadcast(own[10u / LANES], 10u % LANES));
          score = add_dot(score, keys[5].b, subgroupBroadcast(own[11u / LANES], 11u % LANES));
          score = add_dot(score, keys[6].a, subgroupBroadcast(own[12u / LANES], 12u % LANES));
          score = add_dot(score, keys[6].b, subgroupBroadcast(own[13u / LANES], 13u % LANES));
          score = add_dot(score, keys[7].a, subgroupBroadcast(own[14u / LANES], 14u % LANES));
          score = add_dot(score, keys[7].b, subgroupBroadcast(own[15u / LANES], 15u % LANES));
          scores[m * ROUNDS + r] = score;
        }
      }
    }

    for (var m = 0u; m < count; m++) {
      let own = state.position + (first_query + m) / params.group_heads;
      let from_position = seen_from(own);
      let until_position = min(seen_until(own), end);
      var largest = maximum[m];
      for (var r = 0u; r < rounds; r++) {
        let position = tile + r * LANES + lane;
        var score = scores[m * ROUNDS + r];
        if (SOFT_CAP) {
          score = params.soft_cap * tanh_of(score / params.soft_cap);
        }
        score = select(LOWEST, score, position >= from_position && position < until_position);
        scores[m * ROUNDS + r] = score;
        largest = max(largest, score);
      }
      largest = subgroupMax(largest);
      let shrink = exp(maximum[m] - largest);
      var sum = shrink * total[m];
      for (var r = 0u; r < rounds; r++) {
        let score = scores[m * ROUNDS + r];
        let weight = select(0.0, exp(score - largest), score > LOWEST);
        scores[m * ROUNDS + r] = weight;
        sum += weight;
      }
      maximum[m] = largest;
      total[m] = sum;
      for (var c = 0u; c < COLUMNS; c++) {
        sums[m * COLUMNS + c].a *= shrink;
        sums[m * COLUMNS + c].b *= shrink;
      }
    }

    for (var r = 0u; r < rounds; r++) {
      for (var c = 0u; c < COLUMNS; c++) {
        let pair = min(c * LANES + lane, V_PAIRS - 1u);
        var values: array<Pair, LANES>;
        for (var i = 0u; i < LANES; i++) {
          values[i] = v_pair(row_of(kv_head, tile_row + min(r * LANES + i, last)), pair);
        }
        for (var m = 0u; m < count; m++) {
          let own = scores[m * ROUNDS + r];
          var sum = sums[m * COLUMNS + c];
          sum = add_scaled(sum, subgroupBroadcast(own, 0u), values[0]);
          sum = add_scaled(sum, subgroupBroadcast(own, 1u), values[1]);
          sum = add_scaled(sum, subgroupBroadcast(own, 2u), values[2]);
          sum = add_scaled(sum, subgroupBroadcast(own, 3u), values[3]);
          if (LANES == 8u) {
            sum = add_scaled(sum, subgroupBroadcast(own, 4u % LANES), values[4u % LANES]);
            sum = add_scaled(sum, subgroupBroadcast(own, 5u % LANES), values[5u % LANES]);
            sum = add_scaled(sum, subgroupBroadcast(own, 6u % LANES), values[6u % LANES]);
            sum = add_scaled(sum, subgroupBroadcast(own, 7u % LANES), values[7u % LANES]);
          }
          sums[m * COLUMNS + c] = sum;
        }
      }
    }
  }

  for (var m = 0u; m < count; m++) {
    let query = first_query + m;
    let head = head_of(kv_head, query);
    let weight = subgroupAdd(total[m]);
    for (var c = 0u; c < COLUMNS; c++) {
      let sum = sums[m * COLUMNS + c];
      let four = 2u * (c * LANES + lane);
      if (four < FOURS) {
        put_sums(query, head, four, group.x, groups.x, maximum[m], weight, sum.a);
      }
      if (four + 1u < FOURS) {
        put_sums(query, head, four + 1u, group.x, groups.x, maximum[m], weight, sum.b);
      }
    }
  }
}

fn add_dot(sum: f32, k: vec4<f32>, q: vec4<f32>) -> f32 {
  return fma(k.w, q.w, fma(k.z, q.z, fma(k.y, q.y, fma(k.x, q.x, sum))));
}

fn add_scaled(sum: Pair, weight: f32, v: Pair) -> Pair {
  return Pair(fma(vec4<f32>(weight), v.a, sum.a), fma(vec4<f32>(weight), v.b, sum.b));
}
