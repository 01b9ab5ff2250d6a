// Streams the weights that a graph needs out of its files: bytes in file order and once, through one small buffer, to a
// sink. Several weights may be rows of one tensor, overlapping ones too.
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

  // Whether each weight of the graph can go through the buffer: a row that must be written whole may be too long.
  static Status check(const graph::Graph& graph);
  // The graph has passed check() and its weights are in the file (CHECK). Both must outlive the loader.
  Loader(const files::Gguf& file, const graph::Graph& graph);

  bool done() const { return next_ == parts_.size(); }
  u32 file() const { return done() ? 0 : parts_[next_].file; }
  u64 position() const { return position_; }  // in file(), of the next byte wanted
  u64 stream_end() const;
  std::span<u8> space();
  // The bytes lie at the front of space(). More than space() holds is a bug (CHECK).
  void commit(u64 bytes, WeightSink& sink);

  u64 staging_bytes() const { return part_bytes; }

 private:
  // Where a weight lies.
  struct Part {
    graph::WeightId weight;
    u32 file;
    u64 begin, end;  // in its file
    u64 block;       // bytes
    u64 unit;        // bytes of blocks that are written together
    u64 next;        // first byte that is not written yet
  };

  void consume(WeightSink& sink);
  void write(Part& part, WeightSink& sink) const;
  u64 first_wanted() const;
  void drop_before(u64 position);

  std::vector<Part> parts_;  // in file order, by their first bytes
  std::size_t next_ = 0;     // of parts_: the first that is not complete
  std::vector<u8> buffer_;
  u64 filled_ = 0;  // bytes in buffer_, from file offset position_ - filled_ on
  u64 position_ = 0;
};

}  // namespace pronk::engine
