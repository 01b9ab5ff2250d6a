// Runs a graph's plain operations on the CPU.
#pragma once

#include <span>
#include <vector>

#include "cpu/attention.h"
#include "cpu/kernels.h"
#include "cpu/operations.h"
#include "cpu/pool.h"
#include "cpu/products.h"
#include "cpu/states.h"
#include "cpu/workspace.h"
#include "graph/activations.h"
#include "graph/graph.h"
#include "graph/kv_type.h"

namespace pronk::cpu {

constexpr u32 default_chunk = 64;  // tokens that go through the graph together

// Bytes that an executor holds, weights apart.
struct Footprint {
  u64 kv_cache = 0;     // all that outlives a step: keys and values, what recurrences carry, and its checkpoints
  u64 activations = 0;  // the arena, rows of output, quantized activations and scratch
  u64 parameters = 0;   // decoded norms, biases and the like, tables of angles

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
  // weights[i]: the first byte of graph.weights[i], its first row, as in the file (row-major blocks of its format).
  // Graph and bytes must outlive the executor. graph::KvType::f32 keeps the cache in Real. The graph's last operation
  // makes its output, called logits here, whatever it is. threads: that work, the caller's among them; what comes out
  // does not depend on it.
  Executor(const graph::Graph& graph, std::vector<const u8*> weights, u32 context_length, graph::KvTypes kv,
           u32 chunk = default_chunk, u32 logit_rows = 1, graph::Activations activations = graph::Activations::f32,
           const Kernels& kernels = best_kernels(), u32 threads = 1);

  // Starts a run of tokens at positions position, position + 1, …; what the states hold of those before is what they
  // see, and a run must be able to go on from there (resumable; CHECK). A run under way is dropped: of its positions
  // the states may hold anything. Tokens are below the vocabulary size, positions below the context length, and there
  // is at least one token (CHECK); a graph that is not causal takes all of them as one chunk (CHECK). `tokens` must
  // live as long as the run.
  void begin(std::span<const u32> tokens, u32 position, Logits wanted);
  // Computes until the run is done, then returns true, or until each thread has made about so many multiply-adds. All
  // together go over by less than the smallest piece of work: a part of the rows of a matrix, some positions of a KV
  // head (AttentionCut), a head of a recurrence, an elementwise operation.
  bool advance(u64 multiply_adds);
  // After a run: a row for each token whose logits were wanted; valid until the next begin().
  std::span<const Real> logits() const;

  // All of it at once; the logits of every token or of the last.
  std::span<const Real> run(std::span<const u32> tokens, u32 position, bool all_logits);

  // The largest position up to `position` from which a run may go on, given that the tokens before it are those of the
  // last runs; 0 is always one. Keys and values can go back to any position, windows as far as they still hold what
  // the position sees, recurrences to where they stand or to a checkpoint.
  u32 resumable(u32 position) const { return states_.resumable(position); }
  // After a run, or when one has begun and not advanced: keeps what the recurrences carry, as the end of a prompt or,
  // when so much has been added since the last copy, as one that follows (graph::Checkpoints).
  void checkpoint_prompt() { states_.end_prompt(); }
  void checkpoint_following() { states_.follow(); }

  States<Real>& states() { return states_; }  // between runs

  const Work& work() const { return work_; }

  u32 context_length() const { return context_length_; }

  // What constructing it would take, and what it took.
  static Footprint footprint(const graph::Graph& graph, u32 context_length, graph::KvTypes kv,
                             u32 chunk = default_chunk, u32 logit_rows = 1,
                             graph::Activations activations = graph::Activations::f32,
                             const Kernels& kernels = best_kernels(), u32 threads = 1);
  Footprint allocated() const;

 private:
  struct RoundedBooks {  // formats::round_books
    std::vector<i16> steps;
    float step = 0;
  };
  // Tokens [first, first + count) of the chunk.
  struct Pass {
    u32 first = 0, count = 0;
  };

  static Workspace workspace_of(const graph::Graph& graph, u32 chunk, u32 logit_rows, graph::Activations activations,
                                const Kernels& kernels);
  void begin_chunk();
  bool begin_next();
  bool finished() const;
  void find_angles();
  u64 logits_of(u64 tokens) const;  // rows wanted of a run, or of its last chunk, of so many tokens
  u32 position() const { return position_ + pass_.first; }  // of row 0 of rows()
  Rows<Real> rows(graph::ValueId id);
  Matrix matrix(graph::WeightId id) const;
  std::span<const Real> numbers(graph::WeightId id) const;  // empty: none
  const Real* vector(graph::WeightId id) const { return numbers(id).data(); }

  // Each makes at most about `budget` multiply-adds but at least the smallest piece, and returns how many; part_ is
  // left at 0 when the operation is complete.
  u64 step(const graph::Embed& op, u64 budget);
  u64 step(const graph::Norm& op, u64 budget);
  u64 step(const graph::MatMul& op, u64 budget);
  u64 step(const graph::Rope& op, u64 budget);
  u64 step(const graph::StoreKv& op, u64 budget);
  u64 step(const graph::Attention& op, u64 budget);
  u64 step(const graph::Map& op, u64 budget);
  u64 step(const graph::PositionScale& op, u64 budget);
  u64 step(const graph::TakeColumns& op, u64 budget);
  u64 step(const graph::JoinColumns& op, u64 budget);
  u64 step(const graph::Route& op, u64 budget);
  u64 step(const graph::WeightedSum& op, u64 budget);
  u64 step(const graph::KeepLargest& op, u64 budget);
  u64 step(const graph::Conv1d& op, u64 budget);
  u64 step(const graph::DeltaRule& op, u64 budget);
  u64 step(const graph::Scan& op, u64 budget);
  bool gate_by_vectors(const graph::Map& op, Rows<const Real> a, Rows<const Real> b, Rows<Real> out);
  // Calls work(first, count) for runs of the rows of `out`, in parallel where it is worth it, and clears their padding.
  template <class RowWork>
  u64 by_rows(Rows<Real> out, const RowWork& work);
  // Calls work(head, thread) for some heads, each `cost` multiply-adds.
  template <class HeadWork>
  u64 by_heads(u32 heads, u64 cost, u64 budget, const HeadWork& work);

  const graph::Graph& graph_;
  std::vector<const u8*> weights_;
  u32 context_length_;
  u32 chunk_;
  bool causal_;
  const Kernels& kernels_;
  Pool pool_;
  Workspace workspace_;
  std::vector<graph::Slice> slices_;  // of each value

  States<Real> states_;
  Products<Real> products_;
  AttentionScratch<Real> attention_scratch_;
  RouteScratch<Real> route_scratch_;
  std::vector<Real> arena_;                         // values: [chunk, or tail_rows in the tail][row_stride(width)]
  std::vector<Real> logits_;                        // [logit_rows or tokens of the run][width of the output]
  std::vector<std::vector<Real>> vectors_;          // of each weight that is no matrix; else empty
  std::vector<std::vector<float>> tables_;          // of each weight that is books or scales; else empty
  std::vector<RoundedBooks> rounded_books_;         // of books, in the place of a table, when products want it
  std::vector<std::vector<Real>> cosines_, sines_;  // of each table: [chunk][pairs]
  std::vector<std::vector<Real>> sums_;             // of a delta rule, one a thread

  // The run under way.
  std::span<const u32> run_tokens_;
  u32 run_position_ = 0;
  Logits wanted_ = Logits::none;
  u64 next_chunk_ = 0;  // its first token that is in no chunk yet

  // Its chunk under way.
  std::span<const u32> tokens_;
  u32 position_ = 0;
  Pass pass_;            // what operations work on: all of the chunk, then in the tail some tokens after the others
  u32 tail_next_ = 0;    // the first token that the tail has still to compute
  u32 first_logit_ = 0;  // row of logits_ that belongs to token 0 of the chunk; may be "before" row 0
  std::size_t op_ = 0, end_op_ = 0;
  u64 part_ = 0;  // of operation op_: parts of matrices, units of attention or heads that are done

  Work work_;
};

extern template class Executor<float>;
extern template class Executor<double>;

}  // namespace pronk::cpu
