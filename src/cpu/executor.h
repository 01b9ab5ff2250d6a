// Runs a graph's plain operations on the CPU.
#pragma once

#include <span>
#include <vector>

#include "cpu/attention.h"
#include "cpu/kernels.h"
#include "cpu/operations.h"
#include "graph/activations.h"
#include "graph/graph.h"
#include "graph/kv_type.h"

namespace pronk::cpu {

constexpr u32 default_chunk = 64;  // tokens that go through the graph together

// Bytes that an executor holds, weights apart.
struct Footprint {
  u64 kv_cache = 0;
  u64 activations = 0;  // the arena, one row of logits, quantized activations and scratch
  u64 parameters = 0;   // decoded norms and biases, tables of angles

  u64 total() const { return kv_cache + activations + parameters; }
  bool operator==(const Footprint&) const = default;
};

enum class Logits : u8 { none, last, all };  // of which tokens of a run

// What an executor has computed since it was made.
struct Work {
  u64 multiply_adds = 0;  // of elementwise operations: elements
  u64 logit_rows = 0;
};

// Real = double: the exact reference of tests, whose activations are never quantized. Real = float: the usable path.
// Nothing is allocated after construction, but for the rows that Logits::all asks for beyond logit_rows.
template <class Real>
class Executor {
 public:
  // weights[i]: bytes of graph.weights[i] as in the file (row-major blocks of its format). Graph and bytes must outlive
  // the executor. graph::KvType::f32 keeps the cache in Real. The graph's last operation is the MatMul that makes the
  // logits.
  Executor(const graph::Graph& graph, std::vector<const u8*> weights, u32 context_length, graph::KvTypes kv,
           u32 chunk = default_chunk, u32 logit_rows = 1, graph::Activations activations = graph::Activations::f32,
           const Kernels& kernels = best_kernels());

  // Starts a run of tokens at positions position, position + 1, …; what the cache holds before them is what they see.
  // A run under way is dropped: of its positions the cache may hold anything. Tokens are below the vocabulary size,
  // positions below the context length, and there is at least one token (CHECK). `tokens` must live as long as the run.
  void begin(std::span<const u32> tokens, u32 position, Logits wanted);
  // Computes until the run is done, then returns true, or until about so many multiply-adds have been made. It goes
  // over by less than the smallest piece of work: a panel of rows of a matrix, 32 positions of a KV head, an
  // elementwise operation.
  bool advance(u64 multiply_adds);
  // After a run: a row for each token whose logits were wanted; valid until the next begin().
  std::span<const Real> logits() const;

  // All of it at once; the logits of every token or of the last.
  std::span<const Real> run(std::span<const u32> tokens, u32 position, bool all_logits);

  const Work& work() const { return work_; }

  u32 context_length() const { return context_length_; }

  // What constructing it would take, and what it took.
  static Footprint footprint(const graph::Graph& graph, u32 context_length, graph::KvTypes kv,
                             u32 chunk = default_chunk, u32 logit_rows = 1,
                             graph::Activations activations = graph::Activations::f32,
                             const Kernels& kernels = best_kernels());
  Footprint allocated() const;

 private:
  void begin_chunk();
  void find_angles();
  u64 logits_of(u64 tokens) const;  // rows wanted of a run, or of its last chunk, of so many tokens
  Rows<Real> rows(graph::ValueId id);
  Matrix matrix(graph::WeightId id) const;
  const Real* vector(graph::WeightId id) const;
  void clear_padding(Rows<Real> out);
  void multiply(const graph::MatMul& op, RowRange range, Rows<const Real> x, Rows<Real> out);
  const QuantizedRows& quantize(graph::ValueId id, Rows<const Real> x);

  // Each makes at most about `budget` multiply-adds but at least the smallest piece, and returns how many; part_ is
  // left at 0 when the operation is complete.
  u64 step(const graph::Embed& op, u64 budget);
  u64 step(const graph::RmsNorm& op, u64 budget);
  u64 step(const graph::MatMul& op, u64 budget);
  u64 step(const graph::Rope& op, u64 budget);
  u64 step(const graph::StoreKv& op, u64 budget);
  u64 step(const graph::Attention& op, u64 budget);
  u64 step(const graph::Add& op, u64 budget);
  u64 step(const graph::SwiGlu& op, u64 budget);

  const graph::Graph& graph_;
  std::vector<const u8*> weights_;
  u32 context_length_;
  u32 chunk_;
  KvCache<Real> cache_;
  AttentionScratch<Real> scratch_;
  std::vector<u64> places_;                 // first element of each value in the arena
  std::vector<Real> arena_;                 // values: [chunk][row_stride(width)]
  std::vector<Real> logits_;                // [1 or tokens of the run][vocabulary]
  std::vector<std::vector<Real>> vectors_;  // of each weight that is a norm, a bias or a divisor; else empty
  std::vector<Real> cosines_, sines_;       // [chunk][rotated / 2]

  const Kernels& kernels_;
  bool quantizes_;
  QuantizedBuffer quantized_buffer_;
  QuantizedRows quantized_;
  graph::ValueId quantized_of_ = graph::ValueId::none;  // what quantized_ holds: all products that read it share it

  // The run under way.
  std::span<const u32> run_tokens_;
  u32 run_position_ = 0;
  Logits wanted_ = Logits::none;
  u64 next_chunk_ = 0;  // its first token that is in no chunk yet

  // Its chunk under way.
  std::span<const u32> tokens_;
  u32 position_ = 0;
  Rows<Real> logits_out_;  // of its last tokens; none when nobody asks for them
  std::size_t op_ = 0, end_op_ = 0;
  u64 part_ = 0;  // of operation op_: rows of a matrix or blocks of attention that are done

  std::size_t last_store_ = 0;  // of the graph: without logits nothing after this operation is needed
  Work work_;
};

extern template class Executor<float>;
extern template class Executor<double>;

}  // namespace pronk::cpu
