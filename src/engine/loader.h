// Brings the weights that a graph needs out of its files: bytes in file order and once. Several weights may be rows of
// one tensor, overlapping ones too.
#pragma once

#include <span>
#include <vector>

#include "files/gguf.h"
#include "formats/pieces.h"
#include "graph/graph.h"

namespace pronk::engine {

// What the host asks for and gives.
class Loader {
 public:
  virtual ~Loader() = default;

  virtual bool done() const = 0;
  virtual u32 file() const = 0;
  virtual u64 position() const = 0;    // in file(), of the next byte wanted
  virtual u64 stream_end() const = 0;  // of file(): no byte from here on is wanted
  // For bytes from position() on: at least one while not done(). They may be many more than the host means to give.
  virtual std::span<u8> space() = 0;
  // The bytes lie at the front of space(). More than space() holds is a bug (CHECK).
  virtual void commit(u64 bytes) = 0;
};

// Where a weight lies, or a piece of one whose blocks are put together.
struct WeightRange {
  graph::WeightId weight;
  u32 file;
  u64 begin, end;                           // in its file
  u64 block;                                // bytes of each block in it
  const formats::Pieces* pieces = nullptr;  // null: it is the whole
  u32 piece = 0;
};
// Of all weights of the graph, by file and first byte. They are in the file (CHECK).
std::vector<WeightRange> weight_ranges(const files::Gguf& file, const graph::Graph& graph);

constexpr u32 all_planes = ~0u;

// Where weights go that pass through a buffer. write() gets runs of whole blocks of one weight, in order; of blocks in
// pieces twice, with those planes of the GPU's layout that the piece is, a bit each.
class WeightSink {
 public:
  virtual ~WeightSink() = default;
  virtual void write(graph::WeightId weight, u64 first_block, u64 blocks, const u8* bytes, u32 planes) = 0;
};

// Through one small buffer to a sink.
class StagedLoader final : public Loader {
 public:
  static constexpr u64 part_bytes = 4 << 20;
  static constexpr u64 row_bytes_limit = 1 << 20;  // of rows that must be written whole

  // Whether each weight of the graph can go through the buffer: a row that must be written whole may be too long.
  static Status check(const graph::Graph& graph);
  // The graph has passed check(). File, graph and sink must outlive the loader.
  StagedLoader(const files::Gguf& file, const graph::Graph& graph, WeightSink& sink);

  bool done() const override { return next_ == parts_.size(); }
  u32 file() const override { return done() ? 0 : parts_[next_].file; }
  u64 position() const override { return position_; }
  u64 stream_end() const override;
  std::span<u8> space() override;
  void commit(u64 bytes) override;

 private:
  struct Part : WeightRange {
    u64 whole;  // bytes of a block
    u64 unit;   // bytes of blocks that are written together
    u64 next;   // first byte that is not written yet
  };

  void consume();
  void write(Part& part);
  void write_piece(const Part& part, u64 first_block, u64 blocks, const u8* bytes);
  u64 first_wanted() const;
  void drop_before(u64 position);

  WeightSink& sink_;
  std::vector<Part> parts_;  // in file order, by their first bytes
  std::size_t next_ = 0;     // of parts_: the first that is not complete
  std::vector<u8> buffer_;
  std::vector<u8> blocks_;  // put together from a piece
  u64 filled_ = 0;          // bytes in buffer_, from file offset position_ - filled_ on
  u64 position_ = 0;
};

}  // namespace pronk::engine
