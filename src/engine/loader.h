// Streams the tensors that a graph needs out of its files: bytes in file order, through one small buffer, to a sink.
#pragma once

#include <span>
#include <vector>

#include "files/gguf.h"
#include "graph/graph.h"

namespace pronk::engine {

// Where weights go. write() gets runs of whole blocks of one weight, in order.
class WeightSink {
 public:
  virtual ~WeightSink() = default;
  virtual void write(graph::WeightId weight, u64 first_block, u64 blocks, const u8* bytes) = 0;
};

class Loader {
 public:
  static constexpr u64 part_bytes = 4 << 20;
  static constexpr u64 row_bytes_limit = 1 << 20;  // of rows that must be written whole

  // Whether each tensor of the graph can go through the buffer: a row that must be written whole may be too long.
  static Status check(const graph::Graph& graph);
  // The graph has passed check() and its tensors are in the file (CHECK). Both must outlive the loader.
  Loader(const files::Gguf& file, const graph::Graph& graph);

  bool done() const { return next_ == tensors_.size(); }
  u32 file() const { return done() ? 0 : tensors_[next_].file; }
  u64 position() const { return position_; }  // in file(), of the next byte wanted
  u64 stream_end() const;
  std::span<u8> space();
  // The bytes lie at the front of space(). More than space() holds is a bug (CHECK).
  void commit(u64 bytes, WeightSink& sink);

  u64 staging_bytes() const { return part_bytes; }

 private:
  struct Tensor {
    graph::WeightId weight;
    const formats::Format* format;
    u32 file;
    u64 begin, end;  // in its file
    u64 granule;     // blocks that are written together
  };

  void consume(WeightSink& sink);
  void skip_gap(bool new_file);

  std::vector<Tensor> tensors_;  // in file order
  std::size_t next_ = 0;         // index of the first tensor that is not yet complete
  std::vector<u8> part_;
  u64 filled_ = 0;  // bytes in part_, from file offset position_ - filled_ on
  u64 position_ = 0;
};

}  // namespace pronk::engine
