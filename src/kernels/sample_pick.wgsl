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

const BINS = WORKGROUP;  // a byte's values
const BYTES = 4u;        // of an order key
const NO_TOKEN = 0xffffffffu;
const BAD_LOGITS = 0xfffffffeu;

var<workgroup> tokens: array<u32, WORKGROUP>;
var<workgroup> joined_tokens: array<u32, STEP>;
var<workgroup> bins: array<atomic<u32>, BINS>;
var<workgroup> chosen: u32;
var<workgroup> left: u32;
var<workgroup> ended: atomic<u32>;  // the token is an end token

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
  atomicStore(&bins[local], 0u);
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
  let best = likeliest_of_all(local, largest, token);
  largest = best.score;
  token = best.token;
  if (params.greedy == 0u) {
    var mass = 0.0;
    for (var b = local; b < params.blocks; b += WORKGROUP) {
      mass += blocks[b].mass * exp((blocks[b].largest - largest) * params.inverse_temperature);
    }
    token = draw(local, survivors(local, largest, sum_of_all(local, mass)), largest);
  }
  if (local < params.end_count && end_tokens[local] == token) {
    atomicStore(&ended, 1u);
  }
  workgroupBarrier();
  if (local == 0u) {
    advance(token, largest > LOWEST && largest <= HIGHEST);
  }
}

struct Scored {
  score: f32,
  token: u32,
}

// The one with the larger score, of equal ones that with the lower token.
fn likelier(a: Scored, b: Scored) -> Scored {
  if (b.score > a.score || (b.score == a.score && b.token < a.token)) {
    return b;
  }
  return a;
}

// As largest_of_all().
fn likeliest_of_all(local: u32, score: f32, token: u32) -> Scored {
  values[local] = score;
  tokens[local] = token;
  workgroupBarrier();
  if (local < STEP) {
    var best = Scored(score, token);
    for (var i = local + STEP; i < WORKGROUP; i += STEP) {
      best = likelier(best, Scored(values[i], tokens[i]));
    }
    joined[local] = best.score;
    joined_tokens[local] = best.token;
  }
  workgroupBarrier();
  var best = Scored(joined[0], joined_tokens[0]);
  for (var i = 1u; i < STEP; i++) {
    best = likelier(best, Scored(joined[i], joined_tokens[i]));
  }
  return best;
}

fn candidate_count() -> u32 {
  return min(candidates[0], params.vocab);
}

const ALL = 1073741824u;

// Share of a token in 2⁻³⁰, so that sums do not depend on their order.
fn weight(logit: f32, largest: f32, mass: f32) -> u32 {
  return u32(exp((logit - largest) * params.inverse_temperature) / mass * f32(ALL));
}

// The lowest order key that top-k leaves, and then the nucleus: the smallest set of the most probable tokens whose weights
// reach the share top_p of all that are left (arXiv 1904.09751). The key at which the weights, added up from the largest
// logit down, reach what is wanted is found a byte at a time, from the highest. For top-k each candidate weighs 1.
fn survivors(local: u32, largest: f32, mass: f32) -> u32 {
  let end = select(BYTES, 2u * BYTES, params.top_p < 1.0);
  var lowest = 0u;
  var prefix = 0u;
  for (var round = select(BYTES, 0u, params.top_k > 0u); round < end; round++) {
    let by_mass = round >= BYTES;
    let shift = 24u - round % BYTES * 8u;
    for (var c = local; c < candidate_count(); c += WORKGROUP) {
      let logit = sane(logits[candidates[1u + c]]);
      let key = order_key(logit);
      if (key >= lowest && (shift == 24u || (key >> (shift + 8u)) == prefix)) {
        var share = 1u;
        if (by_mass) {
          share = weight(logit, largest, mass);
        }
        atomicAdd(&bins[(key >> shift) & 255u], share);
      }
    }
    workgroupBarrier();
    choose_bin(local, round);
    workgroupBarrier();
    prefix = (prefix << 8u) | chosen;
    if (shift == 0u) {
      lowest = max(lowest, prefix);
      prefix = 0u;
    }
  }
  return lowest;
}

// What the bins of a filter's first round are to bring.
fn wanted_of(round: u32, all: u32) -> u32 {
  if (round < BYTES) {
    return params.top_k;
  }
  return max(u32(params.top_p * f32(select(all, ALL, params.top_k == 0u))), 1u);
}

// Adds up the bins from the highest down, leaves in `chosen` the one with which the sum reaches what is wanted, and in
// `left` what that bin has to bring. When all together do not reach it, the lowest that is not empty, and so from there
// on. A thread a bin, which it empties.
fn choose_bin(local: u32, round: u32) {
  let here = atomicExchange(&bins[BINS - 1u - local], 0u);
  var wanted = left;
  tokens[local] = here;
  workgroupBarrier();
  let team = local / STEP;
  var reached = 0u;
  for (var i = team * STEP; i <= local; i++) {
    reached += tokens[i];
  }
  if (local % STEP == STEP - 1u) {
    joined_tokens[team] = reached;
  }
  workgroupBarrier();
  var all = 0u;
  for (var i = 0u; i < BINS / STEP; i++) {
    let sum = joined_tokens[i];
    reached += select(0u, sum, i < team);
    all += sum;
  }
  if (round % BYTES == 0u) {
    wanted = wanted_of(round, all);
  }
  let goal = min(wanted, all);
  if (reached >= goal && reached - here < goal) {
    chosen = BINS - 1u - local;
    left = select(0xffffffffu, wanted - (reached - here), wanted <= all);
  }
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

fn draw(local: u32, threshold: u32, largest: f32) -> u32 {
  let step = state.step;
  var best = Scored(LOWEST, NO_TOKEN);
  for (var c = local; c < candidate_count(); c += WORKGROUP) {
    let id = candidates[1u + c];
    let logit = sane(logits[id]);
    let distance = (logit - largest) * params.inverse_temperature;
    if (order_key(logit) >= threshold && distance >= params.log_min_p) {
      best = likelier(best, Scored(distance + gumbel(id, step), id));
    }
  }
  return likeliest_of_all(local, best.score, best.token).token;
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
