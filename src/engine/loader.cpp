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

}  // namespace

std::vector<WeightRange> weight_ranges(const files::Gguf& file, const graph::Graph& graph) {
  std::vector<WeightRange> ranges;
  for (u32 id = 0; id < graph.weights.size(); ++id) {
    const graph::Weight& weight = graph.weights[id];
    const files::TensorInfo* tensor = file.find(weight.name);
    CHECK(tensor);
    const u64 row = u64(weight.cols) / weight.format->block_weights * weight.format->block_bytes;
    const u64 begin = tensor->offset + weight.first_row * row, end = begin + weight.rows * row;
    CHECK(end <= tensor->offset + tensor->bytes);
    ranges.push_back({graph::WeightId(id), tensor->file, begin, end});
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
    const u64 block = weight.format->block_bytes;
    parts_.push_back({range, block, granule_of(weight) * block, range.begin});
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
  sink_.write(part.weight, (part.next - part.begin) / part.block, bytes / part.block,
              buffer_.data() + (part.next - start));
  part.next += bytes;
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
