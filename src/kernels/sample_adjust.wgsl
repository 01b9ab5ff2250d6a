// Before sampling, in runs that ask for it: penalties, biases and the mask, as src/cpu/logit_adjustment.h says. A thread
// a token. The token that the last step sampled is counted here: it is what this step was fed.

@group(0) @binding(0) var<uniform> params: AdjustParams;
@group(0) @binding(1) var<uniform> state: StepState;
@group(0) @binding(2) var<storage, read> fed: array<u32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read_write> adjustments: array<Adjustment>;
@group(0) @binding(5) var<storage, read_write> logits: array<f32>;

const IN_PROMPT = 0x80000000u;
const BAN = -100.0;

struct Adjustment {
  count: u32,  // times in the answer, and IN_PROMPT
  bias: f32,
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = id.x;
  if (state.finished != 0u || token >= params.vocab) {
    return;
  }
  var known = adjustments[token].count;
  if (token == fed[0] && state.step != params.first_step) {
    known += 1u;
    adjustments[token].count = known;
  }
  let logit = sane(logits[token]);
  if (logit <= LOWEST || logit > HIGHEST) {
    return;
  }
  let bias = adjustments[token].bias;
  let allowed = params.masked == 0u || ((mask[token >> 5u] >> (token & 31u)) & 1u) != 0u;
  logits[token] = select(LOWEST, adjusted(logit, known, bias), allowed && bias > BAN);
}

fn adjusted(logit: f32, known: u32, bias: f32) -> f32 {
  var v = logit;
  if (known != 0u) {
    v = select(v * params.repetition, v / params.repetition, v > 0.0);
  }
  let count = known & ~IN_PROMPT;
  v -= params.frequency * f32(count);
  if (count > 0u) {
    v -= params.presence;
  }
  return clamp(v + bias, LOWEST, HIGHEST);
}
