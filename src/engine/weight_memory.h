// The weights of a graph in memory as they are in their files: each byte once, whatever weights it belongs to, loaded
// straight to where it stays, or lying in a file that the caller has mapped. Blocks that come in pieces are put
// together in memory of their own.
#pragma once

#include <memory>
#include <new>
#include <span>
#include <vector>

#include "engine/loader.h"
#include "files/gguf.h"
#include "graph/graph.h"

namespace pronk::engine {

class WeightMemory final : public Loader {
 public:
  // The graph's weights are in the file (CHECK). Memory is allocated when the first byte is to come.
  WeightMemory(const files::Gguf& file, const graph::Graph& graph);

  u64 bytes() const;      // of all weights, with what lies between those that are neighbours in a file
  u64 allocated() const;  // the same of what there is by now; what is mapped counts
  // Of row 0, once done().
  const u8* weight(graph::WeightId id) const;

  // All of a file's weights lie in `contents`, the whole file, which must outlive this. An error when it is too short.
  Status map(u32 file, std::span<const u8> contents);

  bool done() const override { return next_ == extents_.size(); }
  u32 file() const override { return done() ? 0 : extents_[next_].file; }
  u64 position() const override { return done() ? 0 : extents_[next_].begin + filled_; }
  u64 stream_end() const override;
  std::span<u8> space() override;
  void commit(u64 bytes) override;

 private:
  static constexpr std::align_val_t alignment{64};  // of an extent's first byte: a cache line
  struct Free {
    void operator()(u8* memory) const { ::operator delete[](memory, alignment); }
  };

  using Memory = std::unique_ptr<u8[], Free>;

  // A weight whose blocks come in pieces.
  struct Assembled {
    const formats::Pieces* pieces;
    u64 block;  // bytes
    u64 blocks;
    Memory own = nullptr;
  };
  static constexpr std::size_t none = ~std::size_t{0};

  // Bytes [begin, end) of a file: weights and what lies between them, or a piece of one.
  struct Extent {
    u32 file;
    u64 begin, end;
    std::size_t assembled = none;  // of assembled_: whose piece it is
    u32 piece = 0;
    Memory own = nullptr;
    const u8* bytes = nullptr;  // own or mapped
    u64 size() const { return end - begin; }
  };
  struct Place {
    std::size_t extent;
    u64 offset;
    std::size_t assembled = none;  // else that
  };

  static Memory allocate(u64 bytes);
  void add_piece(const WeightRange& range, const graph::Graph& graph);
  std::span<u8> piece_space(const Extent& extent);
  void commit_piece(Extent& extent);
  void place(const Extent& extent, u64 at, std::span<const u8> bytes);
  void skip_mapped();

  std::vector<Extent> extents_;  // in file order
  std::vector<Assembled> assembled_;
  std::vector<Place> places_;  // of each weight
  std::size_t next_ = 0;       // of extents_: the first that is not complete
  u64 filled_ = 0;             // bytes of it
  std::vector<u8> stage_;      // what has come of a piece and is not in its place
  u64 staged_ = 0;             // bytes of that; they count for filled_
};

}  // namespace pronk::engine
