#include "engine/weight_memory.h"

#include <algorithm>

namespace pronk::engine {

namespace {

// Between weights that are loaded in one piece: tensors are aligned, to 32 bytes in most files.
constexpr u64 largest_gap = 4096;
constexpr u64 stage_bytes = 1 << 20;

}  // namespace

WeightMemory::WeightMemory(const files::Gguf& file, const graph::Graph& graph) : places_(graph.weights.size()) {
  for (const WeightRange& range : weight_ranges(file, graph)) {
    if (range.pieces) {
      add_piece(range, graph);
      continue;
    }
    const bool joins = !extents_.empty() && extents_.back().assembled == none && extents_.back().file == range.file &&
                       range.begin <= extents_.back().end + largest_gap;
    if (!joins) extents_.push_back({range.file, range.begin, range.end});
    Extent& extent = extents_.back();
    extent.end = std::max(extent.end, range.end);
    places_[u32(range.weight)] = {extents_.size() - 1, range.begin - extent.begin};
  }
}

void WeightMemory::add_piece(const WeightRange& range, const graph::Graph& graph) {
  Place& place = places_[u32(range.weight)];
  if (place.assembled == none) {
    place.assembled = assembled_.size();
    assembled_.push_back(
        {range.pieces, graph[range.weight].format->block_bytes, (range.end - range.begin) / range.block});
  }
  extents_.push_back({range.file, range.begin, range.end, place.assembled, range.piece});
}

u64 WeightMemory::bytes() const {
  u64 sum = 0;
  for (const Extent& extent : extents_) sum += extent.size();
  return sum;
}

u64 WeightMemory::allocated() const {
  u64 sum = 0;
  for (const Extent& extent : extents_) {
    const bool there = extent.assembled == none ? extent.bytes != nullptr : assembled_[extent.assembled].own != nullptr;
    sum += there ? extent.size() : 0;
  }
  return sum;
}

const u8* WeightMemory::weight(graph::WeightId id) const {
  CHECK(done());
  const Place& place = places_[u32(id)];
  if (place.assembled != none) return assembled_[place.assembled].own.get();
  return extents_[place.extent].bytes + place.offset;
}

Status WeightMemory::map(u32 file, std::span<const u8> contents) {
  for (Extent& extent : extents_) {
    if (extent.file != file) continue;
    CHECK(!extent.bytes);
    if (extent.end > contents.size()) {
      return fail(ErrorCode::bad_model,
                  "a file of the model ends at byte " + std::to_string(contents.size()) + ", within its tensors");
    }
    extent.bytes = contents.data() + extent.begin;
    if (extent.assembled != none) place(extent, 0, contents.subspan(extent.begin, extent.size()));
  }
  skip_mapped();
  return {};
}

void WeightMemory::skip_mapped() {
  while (!done() && extents_[next_].bytes && !extents_[next_].own) ++next_;
}

u64 WeightMemory::stream_end() const {
  u64 end = 0;
  for (std::size_t i = next_; i < extents_.size() && extents_[i].file == file(); ++i) end = extents_[i].end;
  return end;
}

WeightMemory::Memory WeightMemory::allocate(u64 bytes) {
  CHECK(bytes <= SIZE_MAX);
  return Memory(static_cast<u8*>(::operator new[](std::size_t(bytes), alignment)));
}

// Whole blocks of a piece, from its byte `at` on.
void WeightMemory::place(const Extent& extent, u64 at, std::span<const u8> bytes) {
  Assembled& to = assembled_[extent.assembled];
  const u64 block = to.pieces->bytes[extent.piece];
  if (!to.own) to.own = allocate(to.block * to.blocks);
  to.pieces->place(extent.piece, bytes.data(), bytes.size() / block, to.own.get() + at / block * to.block);
}

std::span<u8> WeightMemory::piece_space(const Extent& extent) {
  stage_.resize(stage_bytes);
  const u64 most = std::min(stage_bytes, extent.size() - (filled_ - staged_));
  return std::span(stage_).first(std::size_t(most)).subspan(std::size_t(staged_));
}

void WeightMemory::commit_piece(Extent& extent) {
  const u64 block = assembled_[extent.assembled].pieces->bytes[extent.piece];
  const u64 whole = staged_ / block * block;
  place(extent, filled_ - staged_, std::span(stage_).first(std::size_t(whole)));
  std::copy(stage_.begin() + std::ptrdiff_t(whole), stage_.begin() + std::ptrdiff_t(staged_), stage_.begin());
  staged_ -= whole;
}

std::span<u8> WeightMemory::space() {
  if (done()) return {};
  Extent& extent = extents_[next_];
  if (extent.assembled != none) return piece_space(extent);
  if (!extent.own) {
    extent.own = allocate(extent.size());
    extent.bytes = extent.own.get();
  }
  return std::span(extent.own.get(), std::size_t(extent.size())).subspan(std::size_t(filled_));
}

void WeightMemory::commit(u64 bytes) {
  CHECK(bytes <= space().size());
  filled_ += bytes;
  if (extents_[next_].assembled != none) {
    staged_ += bytes;
    commit_piece(extents_[next_]);
  }
  if (filled_ < extents_[next_].size()) return;
  ++next_;
  filled_ = 0;
  skip_mapped();
  if (done()) stage_ = {};
}

}  // namespace pronk::engine
