// Llama 1–3, SmolLM, Mistral and their like (arXiv 2302.13971). Some files carry attention biases.
#include "models/model.h"

namespace pronk::models {
namespace {

graph::ValueId layer(LayerContext& c, graph::ValueId x) {
  auto& [g, w, h, il] = c;
  const u32 q_width = h.heads.query * h.heads.dim, kv_width = h.heads.kv * h.heads.dim;

  const auto n = g.rms_norm(x, w.vector(c.name("attn_norm.weight"), h.width), h.norm_eps);  // [tokens, width]
  const auto q = g.matmul(n, w.matrix(c.name("attn_q.weight"), q_width, h.width),           // [tokens, heads · dim]
                          w.optional_vector(c.name("attn_q.bias"), q_width));
  const auto k = g.matmul(n, w.matrix(c.name("attn_k.weight"), kv_width, h.width),  // [tokens, kv heads · dim]
                          w.optional_vector(c.name("attn_k.bias"), kv_width));
  const auto v = g.matmul(n, w.matrix(c.name("attn_v.weight"), kv_width, h.width),  // [tokens, kv heads · dim]
                          w.optional_vector(c.name("attn_v.bias"), kv_width));
  const auto a = g.attention(g.rope(q), g.rope(k), v, il);  // [tokens, heads · dim]
  x = g.add(x, g.matmul(a, w.matrix(c.name("attn_output.weight"), h.width, q_width),
                        w.optional_vector(c.name("attn_output.bias"), h.width)));
  return swiglu_feed_forward(c, x);
}

}  // namespace

extern const Architecture llama_architecture{"llama", graph::RopePairs::adjacent, layer};

}  // namespace pronk::models
