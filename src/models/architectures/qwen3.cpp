// Qwen3 (arXiv 2505.09388): every head of q and k is normalized before it is rotated; no biases.
#include "models/model.h"

namespace pronk::models {
namespace {

graph::ValueId layer(LayerContext& c, graph::ValueId x) {
  auto& [g, w, h, il] = c;
  const u32 q_width = h.heads.query * h.heads.dim, kv_width = h.heads.kv * h.heads.dim;
  const auto head_norm = [&](graph::ValueId heads, std::string_view name) {
    return g.rms_norm(heads, w.vector(c.name(name), h.heads.dim), h.norm_eps);
  };

  const auto n = g.rms_norm(x, w.vector(c.name("attn_norm.weight"), h.width), h.norm_eps);  // [tokens, width]
  auto q = g.matmul(n, w.matrix(c.name("attn_q.weight"), q_width, h.width));                // [tokens, heads · dim]
  auto k = g.matmul(n, w.matrix(c.name("attn_k.weight"), kv_width, h.width));               // [tokens, kv heads · dim]
  const auto v = g.matmul(n, w.matrix(c.name("attn_v.weight"), kv_width, h.width));         // [tokens, kv heads · dim]
  q = g.rope(head_norm(q, "attn_q_norm.weight"));
  k = g.rope(head_norm(k, "attn_k_norm.weight"));
  const auto a = g.attention(q, k, v, il);  // [tokens, heads · dim]
  x = g.add(x, g.matmul(a, w.matrix(c.name("attn_output.weight"), h.width, q_width)));
  return swiglu_feed_forward(c, x);
}

}  // namespace

extern const Architecture qwen3_architecture{"qwen3", graph::RopePairs::halves, layer};

}  // namespace pronk::models
