// On rows of [q heads | k heads | v heads]: norms and rotates each q and k head in place, writes k and v to the cache.
// Where the cache quantizes keys, q and k heads go through a Hadamard transform first (HADAMARD > 1; graph/kv_type.h).
// One workgroup a head and token. The cache is [kv head][position][HEAD_DIM].
// The angle of a position is that of its multiple of 64 plus that of the rest: two short tables made in double
// precision instead of sin and cos of large arguments, which devices may compute loosely.

@group(0) @binding(0) var<uniform> params: RotateParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> rope_table: array<vec2<f32>>;  // cos, sin: 64 rows of rest, then rows of multiples
@group(0) @binding(3) var<storage, read> q_norm: array<f32>;
@group(0) @binding(4) var<storage, read> k_norm: array<f32>;
@group(0) @binding(5) var<storage, read_write> qkv: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> k_cache: array<k_Cell>;
@group(0) @binding(7) var<storage, read_write> v_cache: array<v_Cell>;

const FOURS = HEAD_DIM / 4u;
const PAIRS = ROTATED / 2u;

var<workgroup> head_values: array<f32, HEAD_DIM>;
var<workgroup> results: array<vec4<f32>, FOURS>;  // what the store fragments take their numbers from
var<workgroup> squares: array<f32, WORKGROUP>;

// cos and sin of a pair's angle.
fn cos_sin(position: u32, pair: u32) -> vec2<f32> {
  let rest = rope_table[(position & 63u) * PAIRS + pair];
  let whole = rope_table[(64u + (position >> 6u)) * PAIRS + pair];
  return vec2<f32>(rest.x * whole.x - rest.y * whole.y, rest.x * whole.y + rest.y * whole.x);
}

fn rotated(e: u32, position: u32) -> f32 {
  if (e >= ROTATED) {
    return head_values[e];
  }
  if (ADJACENT) {
    let t = cos_sin(position, e >> 1u);
    let other = head_values[e ^ 1u];
    return head_values[e] * t.x + select(other, -other, (e & 1u) == 0u) * t.y;
  }
  let t = cos_sin(position, e % PAIRS);
  let other = head_values[select(e - PAIRS, e + PAIRS, e < PAIRS)];
  return head_values[e] * t.x + select(other, -other, e < PAIRS) * t.y;
}

// The orthonormal Hadamard transform of `results`, HADAMARD numbers at a time. At first a thread reads only what it wrote
// itself; after the last step the caller needs a barrier.
fn hadamard_transform(local: u32) {
  for (var i = local; i < FOURS; i += WORKGROUP) {
    let v = results[i] / sqrt(f32(HADAMARD));
    let pairs = vec4<f32>(v.xy + v.zw, v.xy - v.zw);
    results[i] = vec4<f32>(pairs.x + pairs.y, pairs.x - pairs.y, pairs.z + pairs.w, pairs.z - pairs.w);
  }
  for (var half = 1u; half < HADAMARD / 4u; half <<= 1u) {
    workgroupBarrier();
    for (var i = local; i < FOURS / 2u; i += WORKGROUP) {
      let at = 2u * i - i % half;
      let a = results[at];
      let b = results[at + half];
      results[at] = a + b;
      results[at + half] = a - b;
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let head = group.x;
  let position = state.position + group.y;
  let base = group.y * params.stride + head * FOURS;
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
  for (var i = local; i < FOURS; i += WORKGROUP) {
    if (is_q) {
      qkv[base + i] = results[i];
    } else if (is_v) {
      v_store((head - params.q_heads - params.kv_heads) * params.context + position, i);
    } else {
      k_store((head - params.q_heads) * params.context + position, i);
    }
  }
}
