// Which model an engine has loaded: a number made of its header and of a sample of its weights, the same however they
// come, and on every back end.
#pragma once

#include <span>
#include <vector>

#include "engine/loader.h"

namespace pronk::engine {

class WeightSample {
 public:
  // context: of the engine, on which tables of angles may depend.
  WeightSample(const files::Gguf& file, const graph::Graph& graph, u32 context);

  // Bytes of a file, in the order of files and positions; each once.
  void add(u32 file, u64 position, std::span<const u8> bytes);
  // All of a file, which stays where it is; it is read when the number is asked for.
  void map(u32 file, std::span<const u8> contents) { mapped_.push_back({file, contents}); }

  u64 value() const;

 private:
  static constexpr u64 stride = 1024;  // bytes of a file, of which one is taken

  struct Extent {
    u32 file;
    u64 begin, end;
  };
  struct Mapped {
    u32 file;
    std::span<const u8> contents;
  };
  u64 sum_of(u32 file, u64 position, std::span<const u8> bytes) const;

  std::vector<Extent> extents_;  // where weights lie, in order, apart
  std::vector<Mapped> mapped_;
  u64 header_ = 0, sum_ = 0;
};

}  // namespace pronk::engine
