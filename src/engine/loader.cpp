#include "engine/loader.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace pronk::engine {

namespace {

// Blocks of a weight that must be written together. Rows that are padded on the way go whole; else four blocks fill
// whole words in every plane.
u64 granule_of(const graph::Weight& weight) {
  const bool padded = formats::gpu_row_weights(*weight.format, weight.cols) != weight.cols;
  return padded ? weight.cols / weight.format->block_weights : 4;
}

// Rows of a tensor, or of a piece of it, that begins at `offset` of a file.
WeightRange range_of(graph::WeightId id, const graph::Weight& weight, u32 file, u64 offset, u64 bytes, u64 block) {
  const u64 row = u64(weight.cols) / weight.format->block_weights * block;
  const WeightRange range{id, file, offset + weight.first_row * row,
                          offset + (u64(weight.first_row) + weight.rows) * row, block};
  CHECK(range.end <= offset + bytes);
  return range;
}

}  // namespace

std::vector<WeightRange> weight_ranges(const files::Gguf& file, const graph::Graph& graph) {
  std::vector<WeightRange> ranges;
  for (u32 id = 0; id < graph.weights.size(); ++id) {
    const graph::Weight& weight = graph.weights[id];
    const files::TensorInfo* tensor = file.find(weight.name);
    CHECK(tensor);
    const formats::Pieces* pieces = tensor->scales ? formats::find_pieces(tensor->type) : nullptr;
    CHECK(!pieces == !tensor->scales);
    const u64 block = pieces ? pieces->bytes[0] : weight.format->block_bytes;
    ranges.push_back(range_of(graph::WeightId(id), weight, tensor->file, tensor->offset, tensor->bytes, block));
    if (!pieces) continue;
    ranges.back().pieces = pieces;
    const auto& [file, offset, bytes] = *tensor->scales;
    ranges.push_back(range_of(graph::WeightId(id), weight, file, offset, bytes, pieces->bytes[1]));
    ranges.back().pieces = pieces;
    ranges.back().piece = 1;
  }
  std::sort(ranges.begin(), ranges.end(), [](const WeightRange& a, const WeightRange& b) {
    return std::tie(a.file, a.begin) < std::tie(b.file, b.begin);
  });
  return ranges;
}

Status StagedLoader::check(const graph::Graph& graph) {
  for (const graph::Weight& weight : graph.weights) {
    if (granule_of(weight) * weight.format->block_bytes <= row_bytes_limit) continue;
    return fail(ErrorCode::unsupported, "tensor '" + weight.name + "' has rows too long to load");
  }
  return {};
}

StagedLoader::StagedLoader(const files::Gguf& file, const graph::Graph& graph, WeightSink& sink)
    : sink_(sink), buffer_(part_bytes) {
  CHECK(check(graph));
  for (const WeightRange& range : weight_ranges(file, graph)) {
    const graph::Weight& weight = graph[range.weight];
    parts_.push_back({range, weight.format->block_bytes, granule_of(weight) * range.block, range.begin});
  }
  if (!done()) position_ = parts_[0].begin;
}

u64 StagedLoader::stream_end() const {
  u64 end = 0;
  for (std::size_t i = next_; i < parts_.size() && parts_[i].file == file(); ++i) end = std::max(end, parts_[i].end);
  return end;
}

std::span<u8> StagedLoader::space() { return std::span(buffer_).subspan(filled_); }

void StagedLoader::commit(u64 bytes) {
  CHECK(bytes <= buffer_.size() - filled_);
  filled_ += bytes;
  position_ += bytes;
  consume();
}

// Of the current file.
u64 StagedLoader::first_wanted() const {
  u64 first = ~u64{0};
  for (std::size_t i = next_; i < parts_.size() && parts_[i].file == file() && parts_[i].begin < first; ++i) {
    if (parts_[i].next < parts_[i].end) first = std::min(first, parts_[i].next);
  }
  return first;
}

void StagedLoader::consume() {
  const u32 current_file = file();
  for (std::size_t i = next_; i < parts_.size() && parts_[i].file == current_file && parts_[i].begin < position_; ++i) {
    write(parts_[i]);
  }
  while (!done() && parts_[next_].next == parts_[next_].end) ++next_;
  if (done() || file() != current_file) {
    filled_ = 0;
    if (!done()) position_ = parts_[next_].begin;
  } else {
    drop_before(first_wanted());
  }
}

// What is there of whole units, or all of the rest.
void StagedLoader::write(Part& part) {
  const u64 there = std::min(position_, part.end);
  if (there <= part.next) return;
  const u64 bytes = there == part.end ? there - part.next : (there - part.next) / part.unit * part.unit;
  if (bytes == 0) return;
  const u64 start = position_ - filled_;
  CHECK(part.next >= start);
  const u64 first_block = (part.next - part.begin) / part.block;
  const u8* from = buffer_.data() + (part.next - start);
  if (part.pieces) {
    write_piece(part, first_block, bytes / part.block, from);
  } else {
    sink_.write(part.weight, first_block, bytes / part.block, from, all_planes);
  }
  part.next += bytes;
}

void StagedLoader::write_piece(const Part& part, u64 first_block, u64 blocks, const u8* bytes) {
  constexpr u64 at_once = 1 << 14;
  while (blocks > 0) {
    const u64 count = std::min(blocks, at_once);
    blocks_.resize(at_once * part.whole);
    part.pieces->place(part.piece, bytes, count, blocks_.data());
    sink_.write(part.weight, first_block, count, blocks_.data(), 1u << part.piece);
    first_block += count;
    blocks -= count;
    bytes += count * part.block;
  }
}

// Goes on at `position` when nothing behind it has arrived.
void StagedLoader::drop_before(u64 position) {
  const u64 start = position_ - filled_;
  const u64 used = std::min(position - start, filled_);
  std::memmove(buffer_.data(), buffer_.data() + used, filled_ - used);
  filled_ -= used;
  if (filled_ == 0) position_ = position;
}

}  // namespace pronk::engine
