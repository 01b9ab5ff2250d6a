// What an architecture builds with: the file's metadata and tensors, and the graph. The first error is kept; what is
// asked for after it gets harmless answers, so that an architecture need not look.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "files/gguf.h"
#include "graph/graph.h"
#include "models/model.h"

namespace pronk::models {

using graph::RopeId;
using graph::RopePairs;
using graph::StateId;
using graph::ValueId;
using graph::WeightId;

class Build {
 public:
  // Reads `hyper`.
  Build(const files::Gguf& file, std::string architecture);

  Hyper hyper;
  graph::Builder graph;

  // ---- Metadata; keys without the architecture's prefix

  bool has_key(std::string_view key) const;
  u32 count(std::string_view key);                   // from 1 to 2²⁴
  u32 count_or(std::string_view key, u32 fallback);  // the same
  u32 whole_or(std::string_view key, u32 fallback);  // from 0 on
  double number(std::string_view key);               // finite
  double number_or(std::string_view key, double fallback);
  bool flag_or(std::string_view key, bool fallback);
  std::string_view text_or(std::string_view key, std::string_view fallback);
  // One a layer; the file has an array or one number for all. From 0 to 2²⁴; numbers that are not whole: not NaN.
  std::vector<u32> each_layer(std::string_view key);
  std::vector<u32> each_layer_or(std::string_view key, u32 fallback);
  std::vector<double> each_layer_number_or(std::string_view key, double fallback);
  std::vector<double> each_layer_number_at(const std::string& whole_key);  // prefix included
  // Which layers see a window only: by attention.sliding_window_pattern, a flag a layer or a period, else by this
  // period. Of a period all but the last slide.
  std::vector<bool> sliding_layers(u32 period);
  double rms_eps();          // attention.layer_norm_rms_epsilon
  double layer_eps();        // attention.layer_norm_epsilon
  graph::Pooling pooling();  // pooling_type

  // ---- Tensors, each taken once however often it is asked for

  // An additive matrix (formats/additive.h) has codes, codebooks and scales in place of weight.
  bool has(std::string_view name) const { return file_.find(name) != nullptr || codes_of(name) != nullptr; }
  u64 rows_of(std::string_view name) const;     // 0 when there is none
  u64 weights_of(std::string_view name) const;  // the same
  WeightId matrix(const std::string& name, u32 rows, u32 cols) { return take(name, rows, cols, 0, rows); }
  // Rows [first, first + rows) of a tensor of all_rows.
  WeightId matrix_rows(const std::string& name, u32 first, u32 rows, u32 all_rows, u32 cols) {
    return take(name, rows, cols, first, all_rows);
  }
  WeightId matrices(const std::string& name, u32 count, u32 rows, u32 cols);  // of experts or heads, stacked
  WeightId vector(const std::string& name, u32 cols);                         // of any shape with so many weights
  WeightId optional_vector(const std::string& name, u32 cols);

  // ---- Operations with their weights. stem: the tensors' name without ".weight" or ".bias"

  // [tokens, width] → [tokens, rows]; with the bias when the file has one.
  ValueId linear(ValueId x, const std::string& stem, u32 rows) { return linear_rows(x, stem, 0, rows, rows); }
  // By rows [first, first + rows) of a weight of all_rows. (Whoever needs all of a biased one takes columns of
  // linear().)
  ValueId linear_rows(ValueId x, const std::string& stem, u32 first, u32 rows, u32 all_rows);
  // Over whole rows of x.
  ValueId rms_norm(ValueId x, const std::string& stem);
  ValueId layer_norm(ValueId x, const std::string& stem);  // bias when the file has one
  // [tokens, width] of the tokens' embeddings. token_embd.column_scales, a key of other sources, multiplies them.
  ValueId embed() {
    return column_scaled(graph.embed(matrix("token_embd.weight", hyper.vocab, hyper.width)), "token_embd");
  }
  // Logits by output.weight, or by the embedding when the file has none; output.column_scales as for embed(). hidden:
  // after the last norm.
  ValueId logits(ValueId hidden);

  // ---- RoPE

  struct RopeOptions {
    std::string_view base_key = "rope.freq_base";
    double base = 10000;    // when the key is missing
    bool scaled = true;     // by rope.scaling.*
    bool factors = true;    // rope_freqs.weight or rope_factors_*.weight, when the file has them
    bool magnitude = true;  // YaRN's attention factor
  };
  // rotated: leading columns of a head, even.
  // pairs: as GGUF files have them; rope.halves, a key of other sources, is stronger.
  RopeId rope(RopePairs pairs, u32 rotated, const RopeOptions& options);
  RopeId rope(RopePairs pairs, u32 rotated) { return rope(pairs, rotated, RopeOptions{}); }

  // ---- The end

  void fail(std::string message, ErrorCode code = ErrorCode::unsupported);
  bool ok() const { return bool(status_); }
  void finish(ValueId hidden, ValueId output) { result_ = graph.finish(hidden, output, pooling()); }
  // An encoder has no logits.
  void finish(ValueId hidden) { finish(hidden, hidden); }
  Result<graph::Graph> result() &&;

 private:
  std::string full(std::string_view key) const { return architecture_ + "." + std::string(key); }
  template <class T>
  T value_or(Result<T> result, T fallback);
  WeightId take(const std::string& name, u32 rows, u32 cols, u32 first, u32 all_rows);
  ValueId column_scaled(ValueId x, const std::string& stem);
  WeightId add(const std::string& name, const files::TensorInfo& tensor, u32 rows, u32 cols, u32 first);
  const files::TensorInfo* codes_of(std::string_view name) const;
  WeightId take_codes(const files::TensorInfo& codes, u32 rows, u32 cols, u32 first, u32 all_rows);
  WeightId reject(const std::string& name, u32 rows, u32 cols, std::string message);

  const files::Gguf& file_;
  std::string architecture_;
  std::map<std::pair<std::string, u32>, WeightId> taken_;  // by name and first row
  Status status_;
  graph::Graph result_;
};

// One layer: the same with the names of its tensors.
struct Layer {
  Build& build;
  graph::Builder& graph;
  u32 index;

  Layer(Build& b, u32 i) : build(b), graph(b.graph), index(i) {}

  std::string name(std::string_view tensor) const { return "blk." + std::to_string(index) + "." + std::string(tensor); }
  bool has(std::string_view tensor) const { return build.has(name(tensor)); }
  ValueId linear(ValueId x, std::string_view stem, u32 rows) { return build.linear(x, name(stem), rows); }
  ValueId rms_norm(ValueId x, std::string_view stem) { return build.rms_norm(x, name(stem)); }
  ValueId layer_norm(ValueId x, std::string_view stem) { return build.layer_norm(x, name(stem)); }
};

// ---- What most layers are made of

struct Heads {
  u32 query = 0, kv = 0;   // query heads, KV heads
  u32 key = 0, value = 0;  // floats a head
};
// head_count, head_count_kv, key_length and value_length of a layer.
Heads read_heads(Build& build, u32 layer);
// rope.dimension_count: leading columns of a head that RoPE rotates, by default all.
u32 read_rotated(Build& build, const Heads& heads);
// attention.scale, by default 1 / √key.
double read_scale(Build& build, const Heads& heads);

struct SelfAttention {
  Heads heads;
  RopeId rope = RopeId::none;  // none: no rotation
  double scale = 0;            // 0: 1 / √key
  double soft_cap = 0;
  u32 window = 0;
  bool causal = true;
  double position_scale = 0;  // of q after rotation, by graph::PositionScale, when not 0
  u32 position_interval = 1;
  double clamp = 0;                                 // of q, k and v, when not 0
  graph::Norm::Kind norm = graph::Norm::Kind::rms;  // of q and k, when the file has attn_q_norm: of heads, or of whole
                                                    // rows when the tensor is as long
  bool norm_after_rope = false;
};
// n [tokens, width] → [tokens, query heads · value], before attn_output. Projections attn_q, attn_k, attn_v, or
// attn_qkv.
ValueId attend(Layer& layer, ValueId n, const SelfAttention& attention);
// With attn_output: → [tokens, width].
ValueId self_attention(Layer& layer, ValueId n, const SelfAttention& attention);

// down(gate(n) ⊙ up(n)); gate and up may be rows of one ffn_up. n [tokens, width] → [tokens, width]
ValueId gated_feed_forward(Layer& layer, ValueId n, u32 hidden, graph::Function gate = graph::Function::silu_gate);
// down(f(up(n))); p: parameters of f
ValueId feed_forward(Layer& layer, ValueId n, u32 hidden, graph::Function function, std::array<float, 4> p = {});

}  // namespace pronk::models
