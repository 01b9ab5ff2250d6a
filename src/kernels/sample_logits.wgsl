// Logits as the model made them.

@group(0) @binding(2) var<storage, read> logits: array<f32>;

fn logit_at(token: u32) -> f32 {
  return sane(logits[token]);
}
