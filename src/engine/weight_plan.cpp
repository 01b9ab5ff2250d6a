#include "engine/weight_plan.h"

#include <algorithm>
#include <numeric>

#include "formats/additive.h"

namespace pronk::engine {
namespace {

using graph::WeightId;

// Rows are cut at multiples of four, so that parts of any format start at whole words.
constexpr u32 row_granule = 4;

class Planner {
 public:
  Planner(const graph::Graph& graph, const gpu::Limits& limits) : graph_(graph), limits_(limits) {}

  // A model this much too large is refused before anything is cut: a small header can claim any number of bytes.
  Status check_total() const {
    constexpr u64 most_parts = 4096;
    const u64 most = std::min(limits_.max_storage_buffer_binding_size, limits_.max_buffer_size);
    u64 bytes = 0;
    for (const graph::Weight& weight : graph_.weights) {
      bytes += u64(weight.rows) * (weight.cols / weight.format->block_weights) * weight.format->block_bytes;
    }
    if (bytes / most_parts <= most) return {};
    return fail("the weights take " + std::to_string(bytes) + " bytes, more than " + std::to_string(most_parts) +
                " of this device's bindings of " + std::to_string(most) + " bytes hold");
  }

  Status add_matrix(std::vector<WeightId> sources, bool paired, u32 unit = 1) {
    const auto same = [&](const Matrix& m) { return m.sources == sources && m.paired == paired && m.unit == unit; };
    if (std::any_of(plan_.matrices.begin(), plan_.matrices.end(), same)) return {};
    const graph::Weight& first = graph_[sources.front()];
    CHECK(first.books == WeightId::none || sources.size() == 1);
    Matrix matrix{std::move(sources), paired, unit, first.format, 0, first.cols, {}};
    return cut(matrix);
  }

  Status add_vector(WeightId id) {
    const u64 floats = u64(graph_[id].rows) * graph_[id].cols;
    if (floats > graph::max_width) return fail("tensor '" + graph_[id].name + "' is too large to be held as floats");
    add_vector({id}, {u32(floats)});
    return {};
  }

  void add_vector(std::vector<WeightId> sources, std::vector<u32> lengths) {
    const auto same = [&](const Vector& v) { return v.sources == sources; };
    if (std::any_of(plan_.vectors.begin(), plan_.vectors.end(), same)) return;
    const u64 floats = std::accumulate(lengths.begin(), lengths.end(), u64{0});
    plan_.vectors.push_back({std::move(sources), std::move(lengths), reserve(align_up(floats, 8) * sizeof(float))});
  }

  WeightPlan finish() { return std::move(plan_); }

 private:
  // An additive matrix has its books and scales in every part.
  formats::GpuExtent extent_of(const Matrix& matrix, u64 rows) const {
    const graph::Weight& weight = graph_[matrix.sources.front()];
    if (weight.books == WeightId::none) return gpu_extent(*matrix.format, rows, matrix.cols);
    const graph::Weight& books = graph_[weight.books];
    return additive_extent(*matrix.format, rows, matrix.cols, u64(books.rows) * books.cols);
  }

  Status cut(Matrix& matrix) {
    const WeightId first = matrix.sources.front();
    const u32 copies = matrix.paired ? u32(matrix.sources.size()) : 1;
    u64 all_rows = 0;
    for (WeightId source : matrix.sources) all_rows += graph_[source].rows;
    if (all_rows / copies > graph::max_width) {
      return fail("tensor '" + graph_[first].name + "' and those beside it have " + std::to_string(all_rows / copies) +
                  " rows, more than " + std::to_string(graph::max_width));
    }
    matrix.rows = u32(all_rows / copies);
    const u64 most = std::min(limits_.max_storage_buffer_binding_size, limits_.max_buffer_size);
    const u64 fixed = extent_of(matrix, 0).bytes;
    const u64 row_bytes = extent_of(matrix, 1).bytes - fixed;  // never less than a row's share
    const u64 granule = std::lcm(u64(row_granule), u64(matrix.unit));
    if (fixed + row_bytes * copies * row_granule > most) {
      return fail("tensor '" + graph_[first].name + "' has rows of " + std::to_string(fixed + row_bytes) +
                  " bytes, too long for this device's bindings of " + std::to_string(most) + " bytes");
    }
    // The exact bytes of many rows are fewer than rows · row_bytes; grow while it fits.
    const auto bytes_of = [&](u64 rows) { return extent_of(matrix, rows * copies).bytes; };
    u64 rows_a_part = matrix.rows;
    if (bytes_of(rows_a_part) > most) {
      const u64 parts = ceil_div(bytes_of(rows_a_part), most);
      rows_a_part = align_up(ceil_div(rows_a_part, parts), granule);
      while (rows_a_part > 0 && bytes_of(rows_a_part) > most) rows_a_part -= granule;
      if (rows_a_part == 0) {
        return fail("tensor '" + graph_[first].name + "' has matrices of " + std::to_string(bytes_of(granule)) +
                    " bytes, too large for this device's bindings of " + std::to_string(most) + " bytes");
      }
    }
    for (u32 row = 0; row < matrix.rows; row += u32(rows_a_part)) {
      const u32 rows = u32(std::min<u64>(rows_a_part, matrix.rows - row));
      const formats::GpuExtent extent = extent_of(matrix, u64(rows) * copies);
      matrix.parts.push_back({row, rows, reserve(extent.bytes), extent});
    }
    plan_.matrices.push_back(std::move(matrix));
    return {};
  }

  Range reserve(u64 bytes) {
    const auto fits = [&](u64 used) { return align_up(used, binding_alignment) + bytes <= limits_.max_buffer_size; };
    auto& buffers = plan_.buffer_bytes;
    const auto found = std::find_if(buffers.begin(), buffers.end(), fits);
    if (found == buffers.end()) {
      buffers.push_back(bytes);
      return {u32(buffers.size() - 1), 0, bytes};
    }
    const u64 offset = align_up(*found, binding_alignment);
    *found = offset + bytes;
    return {u32(found - buffers.begin()), offset, bytes};
  }

  const graph::Graph& graph_;
  const gpu::Limits& limits_;
  WeightPlan plan_;
};

}  // namespace

u32 expert_rows(const graph::FusedGraph& fused, const graph::MatMul& matmul) {
  return fused.values[u32(matmul.out)].width / matmul.slots;
}

std::vector<WeightId> part_weights(const graph::FusedMatMul& matmul) {
  std::vector<WeightId> ids;
  for (const auto& part : matmul.parts) ids.push_back(part.weight);
  return ids;
}

std::vector<WeightId> part_biases(const graph::FusedMatMul& matmul) {
  std::vector<WeightId> ids;
  bool any = false;
  for (const auto& part : matmul.parts) {
    ids.push_back(part.bias);
    any = any || part.bias != WeightId::none;
  }
  return any ? ids : std::vector<WeightId>{};
}

Result<WeightPlan> plan_weights(const graph::Graph& graph, const graph::FusedGraph& fused, const gpu::Limits& limits) {
  Planner planner(graph, limits);
  PRONK_OK(planner.check_total());
  const auto add_optional = [&](WeightId id) { return id == WeightId::none ? Status() : planner.add_vector(id); };
  for (const graph::FusedNode& node : fused.nodes) {
    if (const auto* embed = std::get_if<graph::Embed>(&node.op)) {
      PRONK_OK(planner.add_matrix({embed->table}, false));
    } else if (const auto* experts = std::get_if<graph::MatMul>(&node.op)) {
      PRONK_OK(planner.add_matrix({experts->weight}, false, expert_rows(fused, *experts)));
      PRONK_OK(add_optional(experts->bias));
    } else if (const auto* matmul = std::get_if<graph::FusedMatMul>(&node.op)) {
      PRONK_OK(add_optional(matmul->norm));
      PRONK_OK(planner.add_matrix(part_weights(*matmul), matmul->epilogue == graph::Epilogue::gated));
      if (const auto biases = part_biases(*matmul); !biases.empty()) {
        std::vector<u32> lengths;
        for (const auto& part : matmul->parts) lengths.push_back(graph[part.weight].rows);
        planner.add_vector(biases, std::move(lengths));
      }
    } else {
      Status status;
      graph::for_each_weight(node.op, [&](WeightId id) {
        if (status) status = planner.add_vector(id);
      });
      PRONK_OK(status);
    }
  }
  return planner.finish();
}

const Matrix& WeightPlan::matrix(const std::vector<WeightId>& sources, u32 unit) const {
  const auto found = std::find_if(matrices.begin(), matrices.end(),
                                  [&](const Matrix& each) { return each.sources == sources && each.unit == unit; });
  CHECK(found != matrices.end());
  return *found;
}

const Vector& WeightPlan::vector(const std::vector<WeightId>& sources) const {
  const auto found =
      std::find_if(vectors.begin(), vectors.end(), [&](const Vector& each) { return each.sources == sources; });
  CHECK(found != vectors.end());
  return *found;
}

u64 WeightPlan::bytes() const {
  u64 sum = 0;
  for (u64 bytes : buffer_bytes) sum += bytes;
  return sum;
}

}  // namespace pronk::engine
