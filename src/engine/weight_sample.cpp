#include "engine/weight_sample.h"

#include <algorithm>

namespace pronk::engine {
namespace {

// The finalizer of MurmurHash3: every bit of the input changes half of those that come out.
u64 mixed(u64 x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
  return x ^ x >> 33;
}

}  // namespace

WeightSample::WeightSample(const files::Gguf& file, const graph::Graph& graph, u32 context) {
  for (const graph::RopeTable& rope : graph.ropes) header_ = mixed(header_ ^ u32(rope.factors_at(context)));
  for (const graph::Weight& weight : graph.weights) {
    for (const char c : weight.name) header_ = mixed(header_ ^ u8(c));
    for (const u64 number : {u64(weight.format->ggml_type), u64(weight.rows), u64(weight.cols)}) {
      header_ = mixed(header_ ^ number);
    }
  }
  for (const WeightRange& range : weight_ranges(file, graph)) {
    const bool joins = !extents_.empty() && extents_.back().file == range.file && range.begin <= extents_.back().end;
    if (!joins) extents_.push_back({range.file, range.begin, range.end});
    extents_.back().end = std::max(extents_.back().end, range.end);
  }
}

void WeightSample::add(u32 file, u64 position, std::span<const u8> bytes) { sum_ += sum_of(file, position, bytes); }

u64 WeightSample::value() const {
  u64 sum = sum_;
  for (const auto& [file, contents] : mapped_) sum += sum_of(file, 0, contents);
  return mixed(header_ ^ sum);
}

// Does not depend on how the bytes are cut.
u64 WeightSample::sum_of(u32 file, u64 position, std::span<const u8> bytes) const {
  u64 sum = 0;
  const u64 end = position + bytes.size();
  for (const Extent& extent : extents_) {
    if (extent.file != file) continue;
    const u64 to = std::min(extent.end, end);
    for (u64 at = align_up(std::max(extent.begin, position), stride); at < to; at += stride) {
      sum += mixed((u64(file) << 48 ^ at) + 1) * (bytes[std::size_t(at - position)] + 1);
    }
  }
  return sum;
}

}  // namespace pronk::engine
