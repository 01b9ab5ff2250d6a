// From a file's header to a graph: one file an architecture, which reads hyper-parameters, names tensors and builds.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "files/gguf.h"
#include "graph/graph.h"

namespace pronk::models {

class Build;

// One file in architectures/ defines one or more of these; the build collects NAME_architecture of every NAME.cpp,
// which is an Architecture or an array of them.
struct Architecture {
  std::string_view name;  // general.architecture
  void (*build)(Build&);  // ends in Build::finish()
};
std::span<const Architecture* const> architectures();

struct Hyper {
  u32 layers = 0;          // block_count
  u32 width = 0;           // embedding_length
  u32 vocab = 0;           // rows of token_embd.weight
  u32 context_length = 0;  // as trained
};

struct Model {
  std::string architecture;
  Hyper hyper;
  graph::Graph graph;  // weights named as in the file
};

// Errors name the architecture, key or tensor that is missing, of the wrong shape or of a type that pronk does not run.
Result<Model> read_model(const files::Gguf& file);

}  // namespace pronk::models
