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

Status Loader::check(const graph::Graph& graph) {
  for (const graph::Weight& weight : graph.weights) {
    if (granule_of(weight) * weight.format->block_bytes <= row_bytes_limit) continue;
    return fail(ErrorCode::unsupported, "tensor '" + weight.name + "' has rows too long to load");
  }
  return {};
}

Loader::Loader(const files::Gguf& file, const graph::Graph& graph) : part_(part_bytes) {
  CHECK(check(graph));
  for (u32 id = 0; id < graph.weights.size(); ++id) {
    const graph::Weight& weight = graph.weights[id];
    const files::TensorInfo* tensor = file.find(weight.name);
    CHECK(tensor);
    tensors_.push_back({graph::WeightId(id), weight.format, tensor->file, tensor->offset,
                        tensor->offset + tensor->bytes, granule_of(weight)});
  }
  std::sort(tensors_.begin(), tensors_.end(),
            [](const Tensor& a, const Tensor& b) { return std::tie(a.file, a.begin) < std::tie(b.file, b.begin); });
  skip_gap(true);
}

u64 Loader::stream_end() const {
  u64 end = 0;
  for (std::size_t i = next_; i < tensors_.size() && tensors_[i].file == file(); ++i) end = tensors_[i].end;
  return end;
}

std::span<u8> Loader::space() { return std::span(part_).subspan(filled_); }

void Loader::commit(u64 bytes, WeightSink& sink) {
  CHECK(bytes <= part_.size() - filled_);
  filled_ += bytes;
  position_ += bytes;
  consume(sink);
}

// Goes on at the tensor that comes next when nothing of it has arrived.
void Loader::skip_gap(bool new_file) {
  if (done() || filled_ > 0) return;
  const u64 begin = tensors_[next_].begin;
  position_ = new_file ? begin : std::max(position_, begin);
}

void Loader::consume(WeightSink& sink) {
  u64 used = 0;  // of part_
  const u64 start = position_ - filled_;
  const u32 current_file = file();
  while (!done() && file() == current_file) {
    const Tensor& tensor = tensors_[next_];
    const u64 at = start + used;
    if (at < tensor.begin) used += std::min(tensor.begin - at, filled_ - used);  // a gap between tensors
    if (start + used < tensor.begin || used == filled_) break;
    const u64 offset = start + used - tensor.begin;
    const u64 left = tensor.end - tensor.begin - offset;
    const u64 unit = tensor.granule * tensor.format->block_bytes;
    const u64 bytes = filled_ - used >= left ? left : (filled_ - used) / unit * unit;
    if (bytes == 0) break;
    sink.write(tensor.weight, offset / tensor.format->block_bytes, bytes / tensor.format->block_bytes,
               part_.data() + used);
    used += bytes;
    if (bytes == left) ++next_;
  }
  const bool new_file = done() || file() != current_file;
  if (new_file) used = filled_;
  std::memmove(part_.data(), part_.data() + used, filled_ - used);
  filled_ -= used;
  skip_gap(new_file);
}

}  // namespace pronk::engine
