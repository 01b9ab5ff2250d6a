// BERT and XLM-RoBERTa (arXiv 1810.04805, 1911.02116), and Nomic BERT (arXiv 2402.01613), which rotates and gates.
// Every token sees all others; norms come after the sums. Rerankers end in a small network on the first token.
#include <algorithm>

#include "models/decoder.h"

namespace pronk::models {
namespace {

// Embeddings of tokens, of token type 0 and, where nothing rotates, of positions, normalized.
ValueId embed(Build& b, bool rotates) {
  const std::string types = "token_types.weight";
  ValueId x = b.embed();  // [tokens, width]
  if (b.has(types)) {
    x = b.graph.map(graph::Function::add, x, b.matrix_rows(types, 0, 1, u32(b.rows_of(types)), b.hyper.width));
  }
  if (!rotates) {
    const WeightId positions = b.matrix("position_embd.weight", b.hyper.context_length, b.hyper.width);
    x = b.graph.add(x, b.graph.embed(positions, true));
  }
  return b.layer_norm(x, "token_embd_norm");
}

// [tokens, width] → [tokens, scores]; only that of the first token means something.
ValueId rank(Build& b, ValueId x) {
  if (b.has("cls.weight")) x = b.graph.map(graph::Function::soft_cap, b.linear(x, "cls", b.hyper.width), {1});  // tanh
  return b.linear(x, "cls.output", u32(b.rows_of("cls.output.weight")));
}

void build(Build& b, bool rotates) {
  ValueId x = embed(b, rotates);  // [tokens, width]
  for (u32 il = 0; il < b.hyper.layers && b.ok(); ++il) {
    Layer l(b, il);
    const Heads heads = read_heads(b, il);
    const RopeId rope = rotates ? b.rope(RopePairs::halves, read_rotated(b, heads)) : RopeId::none;
    const ValueId a = self_attention(l, x, {.heads = heads, .rope = rope, .causal = false});
    x = l.layer_norm(b.graph.add(x, a), "attn_output_norm");
    const ValueId f = rotates ? gated_feed_forward(l, x, read_feed_forward(l))
                              : feed_forward(l, x, read_feed_forward(l), graph::Function::gelu);
    x = l.layer_norm(b.graph.add(x, f), "layer_output_norm");
  }
  b.finish(b.pooling() == graph::Pooling::rank ? rank(b, x) : x);
}

}  // namespace

extern const Architecture bert_architecture[] = {{"bert", [](Build& b) { build(b, false); }},
                                                 {"nomic-bert", [](Build& b) { build(b, true); }}};

}  // namespace pronk::models
