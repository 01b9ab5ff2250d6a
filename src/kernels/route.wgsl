// Chooses `used` of EXPERTS experts for a token and what each counts for; see graph::Route. One workgroup a token.
// Logits that are NaN choose some expert and weigh NaN.

@group(0) @binding(0) var<uniform> params: RouteParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> expert_scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> chosen: array<f32>;
@group(0) @binding(6) var<storage, read_write> weights: array<f32>;

const LOWEST = -3.0e38;
const LEAST_SUM = 6.103515625e-5;  // that weights are divided by

var<workgroup> scores: array<f32, EXPERTS>;
var<workgroup> choice: array<f32, EXPERTS>;   // scores as the choice sees them; LOWEST: not to be chosen
var<workgroup> group_scores: array<f32, GROUPS>;
var<workgroup> best: array<f32, WORKGROUP>;
var<workgroup> best_expert: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  if (state.finished != 0u) {
    return;
  }
  let token = group.y;
  score_experts(params.logits_base + token * params.logits_stride, local);
  if (GROUPS > 1u) {
    keep_best_groups(local);
  }
  let chosen_at = params.chosen_base + token * params.chosen_stride;
  let weights_at = params.weights_base + token * params.weights_stride;
  var first = 0.0;  // score of the first that is chosen
  var sum = 0.0;
  for (var s = 0u; s < params.used; s++) {
    let expert = take_best(local);
    let score = scores[expert];
    if (s == 0u) {
      first = score;
    }
    sum += weight_of(score, first);
    if (local == 0u) {
      chosen[chosen_at + s] = f32(expert);
    }
  }
  workgroupBarrier();
  if (local != 0u) {
    return;
  }
  var divisor = 1.0;
  if (SOFTMAX_AFTER) {
    divisor = sum;
  } else if (NORMALIZE) {
    divisor = max(sum, LEAST_SUM);
  }
  for (var s = 0u; s < params.used; s++) {
    let expert = u32(chosen[chosen_at + s]);
    var weight = weight_of(scores[expert], first) / divisor * params.scale;
    if (EXPERT_SCALE) {
      weight *= expert_scale[expert];
    }
    weights[weights_at + s] = weight;
  }
  for (var i = 0u; i < params.padding; i++) {
    chosen[chosen_at + params.used + i] = 0.0;
    weights[weights_at + params.used + i] = 0.0;
  }
}

fn weight_of(score: f32, first: f32) -> f32 {
  if (SOFTMAX_AFTER) {
    return exp(score - first);
  }
  return score;
}

fn score_experts(first: u32, local: u32) {
  var sum = 0.0;
  var largest = LOWEST;
  if (SOFTMAX) {
    for (var i = 0u; i < EXPERTS; i++) {
      largest = max(largest, logits[first + i]);
    }
    for (var i = local; i < EXPERTS; i += WORKGROUP) {
      sum += exp(logits[first + i] - largest);
    }
    sum = workgroup_sum(local, sum);
  }
  for (var i = local; i < EXPERTS; i += WORKGROUP) {
    var score = logits[first + i];
    if (SOFTMAX) {
      score = exp(score - largest) / sum;
    }
    if (SIGMOID) {
      score = sigmoid(score);
    }
    scores[i] = score;
    if (BIAS) {
      score += bias[i];
    }
    choice[i] = score;
  }
  workgroupBarrier();
}

// Takes experts out of the choice that are in none of the groups_used groups with the largest scores: their best, or the
// sum of their two best.
fn keep_best_groups(local: u32) {
  const MEMBERS = EXPERTS / GROUPS;
  for (var g = local; g < GROUPS; g += WORKGROUP) {
    var largest = LOWEST;
    var second = LOWEST;
    for (var i = g * MEMBERS; i < (g + 1u) * MEMBERS; i++) {
      let score = choice[i];
      second = max(second, min(score, largest));
      largest = max(largest, score);
    }
    group_scores[g] = largest + select(second, 0.0, BY_BEST || MEMBERS == 1u);
  }
  workgroupBarrier();
  for (var i = local; i < EXPERTS; i += WORKGROUP) {
    let own = i / MEMBERS;
    var better = 0u;
    for (var g = 0u; g < GROUPS; g++) {
      let score = group_scores[g];
      better += select(0u, 1u, score > group_scores[own] || (score == group_scores[own] && g < own));
    }
    if (better >= params.groups_used) {
      choice[i] = LOWEST;
    }
  }
  workgroupBarrier();
}

// The expert with the largest score of the choice, the first of equals, for all threads; takes it out of the choice.
fn take_best(local: u32) -> u32 {
  var score = LOWEST;
  var expert = min(local, EXPERTS - 1u);
  for (var i = local; i < EXPERTS; i += WORKGROUP) {
    if (choice[i] > score) {
      score = choice[i];
      expert = i;
    }
  }
  best[local] = score;
  best_expert[local] = expert;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (local < half) {
      let other = best[local + half];
      if (other > best[local] || (other == best[local] && best_expert[local + half] < best_expert[local])) {
        best[local] = other;
        best_expert[local] = best_expert[local + half];
      }
    }
  }
  workgroupBarrier();
  let taken = best_expert[0];
  workgroupBarrier();
  if (local == 0u) {
    choice[taken] = LOWEST;
  }
  workgroupBarrier();
  return taken;
}
