// On rows of [q heads | k heads | v heads]: norms and rotates each q and k head in place, writes k and v to the cache.
// Where the cache quantizes keys, q and k heads go through a Hadamard transform first (HADAMARD > 1; graph/kv_type.h).
// One workgroup a head and token. The cache is [kv head][position mod capacity][HEAD_DIM].

@group(0) @binding(0) var<uniform> params: RotateParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> rope_table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> q_norm: array<f32>;
@group(0) @binding(4) var<storage, read> k_norm: array<f32>;
@group(0) @binding(5) var<storage, read_write> qkv: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> k_cache: array<k_Cell>;
@group(0) @binding(7) var<storage, read_write> v_cache: array<v_Cell>;

const FOURS = HEAD_DIM / 4u;
const HADAMARD_FOURS = FOURS;

var<workgroup> head_values: array<f32, HEAD_DIM>;
var<workgroup> results: array<vec4<f32>, FOURS>;  // what the store fragments take their numbers from
var<workgroup> squares: array<f32, WORKGROUP>;

fn rotated(e: u32, position: u32) -> f32 {
  if (e >= ROTATED) {
    return head_values[e];
  }
  let turn = turn_of(e, position);
  return head_values[e] * turn.cosine + head_values[turn.other] * turn.sine;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let head = group.x;
  let position = state.position + group.y;
  let base = params.base + group.y * params.stride + head * FOURS;
  let is_q = head < params.q_heads;
  let is_v = head >= params.q_heads + params.kv_heads;

  var sum = 0.0;
  for (var i = local; i < FOURS; i += WORKGROUP) {
    let v = qkv[base + i];
    head_values[4u * i] = v.x;
    head_values[4u * i + 1u] = v.y;
    head_values[4u * i + 2u] = v.z;
    head_values[4u * i + 3u] = v.w;
    sum += dot(v, v);
  }
  if (Q_NORM || K_NORM) {
    squares[local] = sum;
    for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
      workgroupBarrier();
      if (local < half) {
        squares[local] += squares[local + half];
      }
    }
    workgroupBarrier();
    let scale = inverseSqrt(squares[0] / f32(HEAD_DIM) + params.eps);
    for (var i = local; i < FOURS; i += WORKGROUP) {
      for (var e = 4u * i; e < 4u * i + 4u; e++) {
        if (Q_NORM && is_q) {
          head_values[e] *= scale * q_norm[e];
        }
        if (K_NORM && !is_q && !is_v) {
          head_values[e] *= scale * k_norm[e];
        }
      }
    }
  }
  workgroupBarrier();

  for (var i = local; i < FOURS; i += WORKGROUP) {
    let e = 4u * i;
    var v = vec4<f32>(head_values[e], head_values[e + 1u], head_values[e + 2u], head_values[e + 3u]);
    if (!is_v) {
      v = vec4<f32>(rotated(e, position), rotated(e + 1u, position), rotated(e + 2u, position), rotated(e + 3u, position));
    }
    results[i] = v;
  }
  if (HADAMARD > 1u && !is_v) {
    hadamard_transform(local);
  }
  workgroupBarrier();
  let row = position % params.capacity;
  for (var i = local; i < FOURS; i += WORKGROUP) {
    if (is_q) {
      qkv[base + i] = results[i];
    } else if (is_v) {
      v_store((head - params.q_heads - params.kv_heads) * params.capacity + row, i);
    } else {
      k_store((head - params.q_heads) * params.capacity + row, i);
    }
  }
}
