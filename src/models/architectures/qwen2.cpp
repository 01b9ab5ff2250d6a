// Qwen2 and Qwen2.5 (arXiv 2407.10671): biases on q, k and v.
#include "models/model.h"

namespace pronk::models {
namespace {

graph::ValueId layer(LayerContext& c, graph::ValueId x) {
  auto& [g, w, h, il] = c;
  const u32 q_width = h.heads.query * h.heads.dim, kv_width = h.heads.kv * h.heads.dim;
  const auto project = [&](graph::ValueId in, std::string_view part, u32 rows) {
    const std::string stem = c.name(part);
    return g.matmul(in, w.matrix(stem + ".weight", rows, h.width), w.vector(stem + ".bias", rows));
  };

  const auto n = g.rms_norm(x, w.vector(c.name("attn_norm.weight"), h.width), h.norm_eps);  // [tokens, width]
  const auto q = g.rope(project(n, "attn_q", q_width));                                     // [tokens, heads · dim]
  const auto k = g.rope(project(n, "attn_k", kv_width));                                    // [tokens, kv heads · dim]
  const auto v = project(n, "attn_v", kv_width);                                            // [tokens, kv heads · dim]
  const auto a = g.attention(q, k, v, il);                                                  // [tokens, heads · dim]
  x = g.add(x, g.matmul(a, w.matrix(c.name("attn_output.weight"), h.width, q_width)));
  return swiglu_feed_forward(c, x);
}

}  // namespace

extern const Architecture qwen2_architecture{"qwen2", graph::RopePairs::halves, layer};

}  // namespace pronk::models
