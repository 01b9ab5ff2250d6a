#include "kernels/launch.h"

#include <algorithm>

#include "kernels/launch_common.h"

namespace pronk::kernels {
namespace {

u32 units(u32 cols) { return u32(ceil_div(cols, 8)); }

template <class Params>
void set_planes(Params& params, const formats::GpuExtent& extent) {
  params.plane1 = u32(extent.plane_offset[1] / 4);
  params.plane2 = u32(extent.plane_offset[2] / 4);
  params.plane3 = u32(extent.plane_offset[3] / 4);
}

const formats::Format* table_of(const formats::Format& format) { return format.gpu_table ? &format : nullptr; }

}  // namespace

Grid Scale::operator()(Grid grid, u32 tokens) const {
  const u64 parts = u64(tokens) * per_token;
  const u32 scaled = u32(std::min(parts, ceil_div(parts, u64(tile)) + partial));
  if (axis == Axis::y) grid.y = scaled;
  if (axis == Axis::z) grid.z = scaled;
  return grid;
}

TunedKernel tuned(MatMulKernel kernel) {
  if (kernel == MatMulKernel::gemm) return TunedKernel::gemm;
  return kernel == MatMulKernel::batch ? TunedKernel::matvec_batch : TunedKernel::matvec;
}

gpu::PipelineDesc matmul_pipeline(MatMulKernel kernel, const MatMulKind& kind, u32 candidate) {
  if (const auto tile = gemm_tile(tuned(kernel), candidate)) return gemm(kind, *tile);
  const bool batch = kernel == MatMulKernel::batch;
  return matvec(kind, matvec_tiles(batch)[candidate], batch ? batch_tokens : 1);
}

std::vector<Launch> lower(const MatMul& m, MatMulKernel kernel, const MatMulOperands& o, const gpu::Limits& limits,
                          const gpu::Features& features) {
  CHECK(m.kind.epilogue != graph::Epilogue::gated || !m.kind.bias);
  MatMulParams p;
  p.rows = m.rows;
  p.padded_rows = m.rows + m.padding;
  p.row_units = units(m.cols);
  p.x_base = m.x_base / 4;
  p.x_stride = m.x_stride / 4;
  p.y_base = m.y_base;
  p.y_stride = m.y_stride;
  p.bias_base = m.bias_base;
  set_planes(p, m.weight);
  p.width = float(m.cols);
  p.eps = m.eps;
  const u32 candidate = m.candidate ? *m.candidate : default_candidate(tuned(kernel), features);
  MatMulKind kind = m.kind;
  kind.odd_units = has_odd_units(*kind.format, m.cols);
  std::vector<Launch> launches(1);
  Launch& launch = launches.front();
  launch.pipeline = matmul_pipeline(kernel, kind, candidate);
  launch.params = bytes_of(p);
  launch.operands = {o.state, o.weight, o.weight, o.x, o.norm, o.bias, o.y};
  launch.table = table_of(*m.kind.format);
  if (const auto tile = gemm_tile(tuned(kernel), candidate)) {
    launch.grid = gemm_grid(p.padded_rows, m.kind.epilogue == graph::Epilogue::gated, *tile);
    launch.scale = {Scale::Axis::y, 1, tile->tokens};
    if (tile->splits == 1) return launches;
    launch.operands.back() = o.partial;
    launches.push_back({gemm_combine(m.kind, tile->splits),
                        bytes_of(p),
                        {o.state, o.partial, o.bias, o.y},
                        nullptr,
                        {gemm_combine_grid(p.padded_rows)},
                        {Scale::Axis::y}});
    return launches;
  }
  const bool batch = kernel == MatMulKernel::batch;
  launch.grid = matvec_grid(p.padded_rows, matvec_tiles(batch)[candidate], batch ? batch_tokens : 1, limits,
                            m.kind.epilogue == graph::Epilogue::gated);
  if (batch) launch.scale = {Scale::Axis::z, 1, batch_tokens};
  return launches;
}

namespace {

// Words of what group_experts makes: the number of tiles, three a tile, then the order.
u32 order_base(u32 slots, u32 experts) { return 1 + 3 * expert_tiles(slots, experts); }

}  // namespace

Columns chosen_in(const GroupExperts& g) {
  const u32 slots = g.tokens * g.slots;
  return {.base = order_base(slots, g.experts) + slots, .stride = g.slots};
}

Launch lower(const GroupExperts& g, const GroupExpertsOperands& o) {
  CHECK(g.experts <= graph::most_experts);
  GroupParams p;
  p.slots = g.slots;
  p.chosen_base = g.chosen.base;
  p.chosen_stride = g.chosen.stride;
  p.order_base = order_base(g.tokens * g.slots, g.experts);
  p.copy_base = chosen_in(g).base;
  return {group_experts(g.experts), bytes_of(p), {o.state, o.chosen, o.groups}, nullptr, {}, {}};
}

Launch lower(const ExpertMatMul& m, MatMulKernel kernel, const ExpertMatMulOperands& o, const gpu::Limits& limits,
             const gpu::Features& features) {
  CHECK(kernel != MatMulKernel::batch);
  CHECK(m.slots == 1 || !m.own_x || m.cols % 4 == 0);
  ExpertParams p;
  p.slots = m.slots;
  p.first_matrix = m.first_matrix;
  p.matrices = m.matrices;
  p.rows = m.rows;
  p.padding = m.y.padding;
  p.row_units = units(m.cols);
  p.x_base = m.x.base / 4;
  p.x_stride = m.x.stride / 4;
  p.x_slot = m.own_x ? m.cols / 4 : 0;
  p.chosen_base = m.chosen_at.base;
  p.chosen_stride = m.chosen_at.stride;
  p.y_base = m.y.base;
  p.y_stride = m.y.stride;
  set_planes(p, m.weight);
  const std::vector<Operand> operands{o.state, o.weight, o.weight, o.x, o.chosen, o.bias, o.y};
  if (kernel == MatMulKernel::gemm) {
    p.order_base = order_base(m.tokens * m.slots, m.experts);
    const GemmTile& tile = gemm_tiles().front();
    Grid grid = gemm_grid(m.rows + m.y.padding, false, tile);
    if (!m.chosen) grid.z = m.slots;
    const Scale scale =
        m.chosen ? Scale{Scale::Axis::y, m.slots, tile.tokens, m.experts} : Scale{Scale::Axis::y, 1, tile.tokens};
    return {expert_gemm(*m.format, m.chosen, m.bias), bytes_of(p), operands, table_of(*m.format), grid, scale};
  }
  const MatVecTile& tile = matvec_tiles(false)[default_candidate(TunedKernel::matvec, features)];
  Grid grid = matvec_grid(m.rows + m.y.padding, tile, 1, limits);
  grid.z = m.slots;
  return {expert_matvec(*m.format, m.chosen, m.bias, features),
          bytes_of(p),
          operands,
          table_of(*m.format),
          grid,
          {Scale::Axis::z, m.slots, 1}};
}

Launch lower(const Embed& e, const EmbedOperands& o) {
  EmbedParams p;
  p.first_row = e.first_row;
  p.rows = e.rows;
  p.row_units = units(e.cols);
  p.y_stride = e.y_stride / 4;
  set_planes(p, e.table);
  return {
      embed(*e.format, e.by_position), bytes_of(p),     {o.state, o.table, o.table, o.tokens, o.y}, table_of(*e.format),
      {embed_grid(p.row_units)},       {Scale::Axis::y}};
}

std::vector<Launch> lower_sampling(u32 vocab, bool greedy, const SamplingOperands& o,
                                   const std::optional<AdjustOperands>& adjust) {
  const std::vector<Operand> shared{o.params, o.state, o.logits, o.blocks, o.candidates};
  const Grid grid{sample_grid(vocab)};
  std::vector<Launch> launches{{sample_blocks(adjust.has_value()), {}, shared, nullptr, grid, {}}};
  if (adjust) {
    for (const Operand more : {adjust->params, adjust->fed, adjust->mask, adjust->adjustments})
      launches[0].operands.push_back(more);
  }
  if (!greedy) launches.push_back({sample_filter(), {}, shared, nullptr, grid, {}});
  launches.push_back({sample_pick(),
                      {},
                      {o.params, o.logits, o.blocks, o.candidates, o.end_tokens, o.state, o.next_token, o.sampled},
                      nullptr,
                      {},
                      {}});
  return launches;
}

}  // namespace pronk::kernels
