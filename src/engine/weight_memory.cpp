#include "engine/weight_memory.h"

#include <algorithm>

namespace pronk::engine {

namespace {

// Between weights that are loaded in one piece: tensors are aligned, to 32 bytes in most files.
constexpr u64 largest_gap = 4096;

}  // namespace

WeightMemory::WeightMemory(const files::Gguf& file, const graph::Graph& graph) : places_(graph.weights.size()) {
  for (const WeightRange& range : weight_ranges(file, graph)) {
    const bool joins =
        !extents_.empty() && extents_.back().file == range.file && range.begin <= extents_.back().end + largest_gap;
    if (!joins) extents_.push_back({range.file, range.begin, range.end});
    Extent& extent = extents_.back();
    extent.end = std::max(extent.end, range.end);
    places_[u32(range.weight)] = {extents_.size() - 1, range.begin - extent.begin};
  }
}

u64 WeightMemory::bytes() const {
  u64 sum = 0;
  for (const Extent& extent : extents_) sum += extent.size();
  return sum;
}

u64 WeightMemory::allocated() const {
  u64 sum = 0;
  for (const Extent& extent : extents_) sum += extent.bytes ? extent.size() : 0;
  return sum;
}

const u8* WeightMemory::weight(graph::WeightId id) const {
  CHECK(done());
  const Place& place = places_[u32(id)];
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

std::span<u8> WeightMemory::space() {
  if (done()) return {};
  Extent& extent = extents_[next_];
  if (!extent.own) {
    CHECK(extent.size() <= SIZE_MAX);
    extent.own.reset(static_cast<u8*>(::operator new[](std::size_t(extent.size()), alignment)));
    extent.bytes = extent.own.get();
  }
  return std::span(extent.own.get(), std::size_t(extent.size())).subspan(std::size_t(filled_));
}

void WeightMemory::commit(u64 bytes) {
  CHECK(bytes <= space().size());
  filled_ += bytes;
  if (filled_ < extents_[next_].size()) return;
  ++next_;
  filled_ = 0;
  skip_mapped();
}

}  // namespace pronk::engine
