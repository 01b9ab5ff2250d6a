// Last step of sampling, one workgroup: finds the thresholds of top-k and top-p among the candidates by radix selection,
// takes the survivor with the largest logit / temperature + Gumbel noise (arXiv 1411.0030), and moves the state on.
// A greedy step takes the largest of all blocks. After the end it writes NO_TOKEN for the host and nothing else. Logits
// that are NaN, or none of which is finite, end the text with BAD_LOGITS.

@group(0) @binding(0) var<uniform> params: SampleParams;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> blocks: array<Block>;
@group(0) @binding(3) var<storage, read> candidates: array<u32>;
@group(0) @binding(4) var<storage, read> end_tokens: array<u32>;
@group(0) @binding(5) var<storage, read_write> state: StepState;
@group(0) @binding(6) var<storage, read_write> next_token: array<u32>;
@group(0) @binding(7) var<storage, read_write> sampled: array<u32>;  // what the host reads

const BINS = 256u;  // as many as there are threads
const NO_TOKEN = 0xffffffffu;
const BAD_LOGITS = 0xfffffffeu;

var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> tokens: array<u32, WORKGROUP>;
var<workgroup> bins: array<atomic<u32>, BINS>;
var<workgroup> chosen: u32;
var<workgroup> left: u32;
var<workgroup> ended: atomic<u32>;  // the token is an end token

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
  if (local == 0u) {
    atomicStore(&ended, 0u);
  }
  var largest = LOWEST;
  var token = 0u;
  for (var b = local; b < params.blocks; b += WORKGROUP) {
    if (blocks[b].largest > largest) {
      largest = blocks[b].largest;
      token = blocks[b].token;
    }
  }
  reduce_largest(local, largest, token);
  largest = values[0];
  if (params.greedy == 0u) {
    workgroupBarrier();
    values[local] = 0.0;
    for (var b = local; b < params.blocks; b += WORKGROUP) {
      values[local] += blocks[b].mass * exp((blocks[b].largest - largest) * params.inverse_temperature);
    }
    for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
      workgroupBarrier();
      if (local < half) {
        values[local] += values[local + half];
      }
    }
    workgroupBarrier();
    let mass = values[0];
    var threshold = 0u;
    if (params.top_k > 0u) {
      threshold = select_top(local, params.top_k, 0u, largest, 0.0);
    }
    if (params.top_p < 1.0) {
      threshold = max(threshold, nucleus(local, threshold, largest, mass));
    }
    draw(local, threshold, largest);
  }
  if (local < params.end_count && end_tokens[local] == tokens[0]) {
    atomicStore(&ended, 1u);
  }
  workgroupBarrier();
  if (local == 0u) {
    advance(tokens[0], largest > LOWEST && largest <= HIGHEST);
  }
}

// Leaves the largest value and its lowest token in values[0] and tokens[0], for all threads to read.
fn reduce_largest(local: u32, value: f32, token: u32) {
  workgroupBarrier();
  values[local] = value;
  tokens[local] = token;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (local < half) {
      let v = values[local + half];
      let t = tokens[local + half];
      if (v > values[local] || (v == values[local] && t < tokens[local])) {
        values[local] = v;
        tokens[local] = t;
      }
    }
  }
  workgroupBarrier();
}

// Share of a token in 2⁻³⁰, so that sums do not depend on their order.
fn weight(logit: f32, largest: f32, mass: f32) -> u32 {
  return u32(exp((logit - largest) * params.inverse_temperature) / mass * 1073741824.0);
}

// Adds up the bins from the highest down, and leaves in `chosen` the one with which the sum reaches `left`, and in `left`
// what that bin has to bring. When all together do not reach it, the lowest that is not empty, and so from there on.
// A thread a bin.
fn choose_bin(local: u32) {
  let wanted = left;
  let here = atomicLoad(&bins[BINS - 1u - local]);
  tokens[local] = here;
  for (var step = 1u; step < BINS; step <<= 1u) {
    workgroupBarrier();
    var sum = tokens[local];
    if (local >= step) {
      sum += tokens[local - step];
    }
    workgroupBarrier();
    tokens[local] = sum;
  }
  workgroupBarrier();
  let all = tokens[BINS - 1u];
  let reached = tokens[local];
  let goal = min(wanted, all);
  if (reached >= goal && reached - here < goal) {
    chosen = BINS - 1u - local;
    left = select(0xffffffffu, wanted - (reached - here), wanted <= all);
  }
}

// The order key at which the weights of the candidates, added up from the largest logit down, reach `wanted`. Candidates
// with keys below `lowest` are left out. A candidate weighs 1 when mass is 0, else its share of the probability.
fn select_top(local: u32, wanted: u32, lowest: u32, largest: f32, mass: f32) -> u32 {
  var prefix = 0u;
  if (local == 0u) {
    left = max(wanted, 1u);
  }
  for (var shift = 32u; shift > 0u;) {
    shift -= 8u;
    atomicStore(&bins[local], 0u);
    workgroupBarrier();
    for (var c = local; c < min(candidates[0], params.vocab); c += WORKGROUP) {
      let logit = sane(logits[candidates[1u + c]]);
      let key = order_key(logit);
      if (key >= lowest && (shift == 24u || (key >> (shift + 8u)) == prefix)) {
        var share = 1u;
        if (mass > 0.0) {
          share = weight(logit, largest, mass);
        }
        atomicAdd(&bins[(key >> shift) & 255u], share);
      }
    }
    workgroupBarrier();
    choose_bin(local);
    workgroupBarrier();
    prefix = (prefix << 8u) | chosen;
    workgroupBarrier();
  }
  return prefix;
}

// Order key of the last token of the nucleus: the smallest set of the most probable survivors of top-k whose weights
// reach the share top_p of all survivors (arXiv 1904.09751).
fn nucleus(local: u32, threshold: u32, largest: f32, mass: f32) -> u32 {
  if (local == 0u) {
    atomicStore(&bins[0], 0u);
  }
  workgroupBarrier();
  for (var c = local; c < min(candidates[0], params.vocab); c += WORKGROUP) {
    let logit = sane(logits[candidates[1u + c]]);
    if (order_key(logit) >= threshold) {
      atomicAdd(&bins[0], weight(logit, largest, mass));
    }
  }
  workgroupBarrier();
  let sum = select(atomicLoad(&bins[0]), 1073741824u, params.top_k == 0u);
  workgroupBarrier();
  return select_top(local, u32(params.top_p * f32(sum)), threshold, largest, mass);
}

fn mix(v: u32) -> u32 {
  var x = v;
  x ^= x >> 16u;
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  return x ^ (x >> 16u);
}

fn gumbel(token: u32, step: u32) -> f32 {
  let hash = mix(token ^ mix(step ^ mix(params.seed_high ^ mix(params.seed_low))));
  let v = (f32(hash >> 9u) + 0.5) * 1.1920928955078125e-7;
  // −log(1 − v), by its series where the logarithm would lose digits
  let exponential = select(-log(1.0 - v), v * (1.0 + v * (0.5 + v * (0.333333333 + v * 0.25))), v < 0.01);
  return -log(exponential);
}

fn draw(local: u32, threshold: u32, largest: f32) {
  let step = state.step;
  var best = LOWEST;
  var token = NO_TOKEN;
  for (var c = local; c < min(candidates[0], params.vocab); c += WORKGROUP) {
    let id = candidates[1u + c];
    let logit = sane(logits[id]);
    let distance = (logit - largest) * params.inverse_temperature;
    if (order_key(logit) >= threshold && distance >= params.log_min_p) {
      let noisy = distance + gumbel(id, step);
      if (noisy > best || (noisy == best && id < token)) {
        best = noisy;
        token = id;
      }
    }
  }
  reduce_largest(local, best, token);
}

fn advance(picked: u32, usable: bool) {
  if (state.finished != 0u) {
    sampled[0] = NO_TOKEN;
    return;
  }
  if (!usable || picked >= params.vocab) {
    sampled[0] = BAD_LOGITS;
    state.finished = 1u;
    return;
  }
  next_token[0] = picked;
  sampled[0] = picked;
  state.position += 1u;
  state.step += 1u;
  state.remaining -= 1u;
  let finished = state.remaining == 0u || state.position >= params.context;
  state.finished = select(0u, 1u, finished || atomicLoad(&ended) != 0u);
}
