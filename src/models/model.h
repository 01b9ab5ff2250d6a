// From a file's header to a graph: hyper-parameters, tensor names, and one layer function an architecture.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "files/gguf.h"
#include "graph/graph.h"

namespace pronk::models {

// Names as in GGUF metadata, without the architecture's prefix.
struct Hyper {
  u32 layers = 0;          // block_count
  u32 width = 0;           // embedding_length
  u32 feed_forward = 0;    // feed_forward_length
  u32 vocab = 0;           // rows of token_embd.weight
  u32 context_length = 0;  // as trained
  float norm_eps = 0;      // attention.layer_norm_rms_epsilon
  graph::Heads heads;
};

// Looks tensors up by name, checks their shapes, and adds them to the graph, each once however often it is asked for.
// The first error is kept and ends the build.
class Weights {
 public:
  Weights(const files::Gguf& file, graph::Builder& builder) : file_(file), builder_(builder) {}

  graph::WeightId matrix(const std::string& name, u32 rows, u32 cols) { return take(name, rows, cols, true); }
  graph::WeightId vector(const std::string& name, u32 cols) { return take(name, 1, cols, true); }
  graph::WeightId optional_vector(const std::string& name, u32 cols) { return take(name, 1, cols, false); }
  bool has(std::string_view name) const { return file_.find(name) != nullptr; }
  const Status& status() const { return status_; }

 private:
  graph::WeightId take(const std::string& name, u32 rows, u32 cols, bool required);

  const files::Gguf& file_;
  graph::Builder& builder_;
  std::map<std::string, graph::WeightId> taken_;
  Status status_;
};

// All that an architecture's layer function needs.
struct LayerContext {
  graph::Builder& graph;
  Weights& weights;
  const Hyper& hyper;
  u32 layer = 0;

  std::string name(std::string_view tensor) const { return "blk." + std::to_string(layer) + "." + std::string(tensor); }
};

// One file in architectures/ defines one of these, named <file>_architecture; the build collects them.
struct Architecture {
  std::string_view name;  // general.architecture
  graph::RopePairs rope_pairs;
  // x [tokens, width] → [tokens, width]
  graph::ValueId (*layer)(LayerContext& context, graph::ValueId x);
};
std::span<const Architecture* const> architectures();

struct Model {
  std::string architecture;
  Hyper hyper;
  graph::Graph graph;  // weights named as in the file
};

// Errors name the architecture, key or tensor that is missing, of the wrong shape or of a type that pronk does not run.
Result<Model> read_model(const files::Gguf& file);

// The rotation frequencies of a file: rope.freq_base, linear and YaRN scaling (arXiv 2309.00071), rope_freqs.weight.
Result<graph::Rotation> read_rotation(const files::Metadata& metadata, const std::string& architecture, u32 rotated);

// The feed-forward half of most layers: x + down(silu(gate n) · up n), n = norm(x).
graph::ValueId swiglu_feed_forward(LayerContext& context, graph::ValueId x);

}  // namespace pronk::models
