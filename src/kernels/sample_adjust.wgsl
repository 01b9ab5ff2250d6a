// Logits after penalties, biases and the mask, as src/cpu/logit_adjustment.h says; they take the place of the model's. The
// token that the last step sampled is counted here: it is what this step was fed. Called once for each token.

@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(5) var<uniform> adjust: AdjustParams;
@group(0) @binding(6) var<storage, read> fed: array<u32>;
@group(0) @binding(7) var<storage, read> mask: array<u32>;
@group(0) @binding(8) var<storage, read_write> adjustments: array<Adjustment>;

const IN_PROMPT = 0x80000000u;
const BAN = -100.0;

struct Adjustment {
  count: u32,  // times in the answer, and IN_PROMPT
  bias: f32,
}

fn logit_at(token: u32) -> f32 {
  var known = adjustments[token].count;
  if (token == fed[0] && state.step != adjust.first_step) {
    known += 1u;
    adjustments[token].count = known;
  }
  let logit = sane(logits[token]);
  if (logit <= LOWEST || logit > HIGHEST) {
    return logit;
  }
  let bias = adjustments[token].bias;
  let allowed = adjust.masked == 0u || ((mask[token >> 5u] >> (token & 31u)) & 1u) != 0u;
  let v = select(LOWEST, adjusted(logit, known, bias), allowed && bias > BAN);
  logits[token] = v;
  return v;
}

fn adjusted(logit: f32, known: u32, bias: f32) -> f32 {
  var v = logit;
  if (known != 0u) {
    v = select(v * adjust.repetition, v / adjust.repetition, v > 0.0);
  }
  let count = known & ~IN_PROMPT;
  v -= adjust.frequency * f32(count);
  if (count > 0u) {
    v -= adjust.presence;
  }
  return clamp(v + bias, LOWEST, HIGHEST);
}
