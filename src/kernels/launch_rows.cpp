// Operations on the rows of values, token by token.
#include "kernels/launch_common.h"

namespace pronk::kernels {
namespace {

constexpr u32 row_workgroup = 64;

// A kernel with one thread a column of what it writes.
template <class Params>
Launch by_columns(gpu::PipelineDesc pipeline, const Params& params, std::vector<Operand> operands) {
  Launch launch{std::move(pipeline), bytes_of(params), std::move(operands), nullptr, {}, {}};
  over_columns(launch, params.padded_width, row_workgroup);
  return launch;
}

template <class Params>
Shader shader(std::string_view name, std::string_view params_name) {
  Shader shader(name);
  shader.params<Params>(params_name).constants(RowConstants{.WORKGROUP = row_workgroup});
  return shader;
}

}  // namespace

Launch lower(const Norm& n, const NormOperands& o) {
  CHECK(n.group > 0 && n.width % n.group == 0);
  NormParams p;
  p.group = n.group;
  p.weight_step = n.weight_width == n.width ? n.group : 0;
  p.bias_step = n.bias_width == n.width ? n.group : 0;
  p.padding = n.out.padding;
  p.x_base = n.x.base, p.x_stride = n.x.stride;
  p.residual_base = n.residual.base, p.residual_stride = n.residual.stride;
  p.y_base = n.out.base, p.y_stride = n.out.stride;
  p.eps = n.eps;
  p.scale = n.scale;
  const NormConstants constants{.WORKGROUP = n.group > 512 ? 256u : 64u,
                                .LAYER = n.kind == graph::Norm::Kind::layer,
                                .WEIGHT = n.weight_width > 0,
                                .BIAS = n.bias_width > 0,
                                .ADD = n.add};
  return {Shader("norm")
              .params<NormParams>("NormParams")
              .constants(constants)
              .add("reduce_workgroup")
              .add("norm")
              .finish({uniform, uniform, read, read, read, read, write}),
          bytes_of(p),
          {o.state, o.x, o.weight, o.bias, o.residual, o.out},
          nullptr,
          {n.width / n.group},
          {Scale::Axis::y}};
}

Launch lower(const Map& m, const MapOperands& o) {
  const bool two = graph::takes_two(m.function);
  const bool columns = two && m.function != graph::Function::learned_xielu;
  CHECK(!columns || (m.b_width > 0 && m.width % m.b_width == 0));
  MapParams p;
  p.width = m.width;
  p.padded_width = m.width + m.out.padding;
  p.b_repeat = columns ? m.width / m.b_width : 1;
  p.a_base = m.a.base, p.a_stride = m.a.stride;
  p.b_base = m.b.base, p.b_stride = m.b.stride;
  p.y_base = m.out.base, p.y_stride = m.out.stride;
  p.p0 = m.p[0], p.p1 = m.p[1], p.p2 = m.p[2], p.p3 = m.p[3];
  return by_columns(Shader("map")
                        .params<MapParams>("MapParams")
                        .constants(MapConstants{.WORKGROUP = row_workgroup, .TAKES_TWO = columns})
                        .function(m.function)
                        .add("map")
                        .finish({uniform, uniform, read, read, write}),
                    p, {o.state, o.a, two ? o.b : o.a, o.out});
}

Launch lower(const PositionScale& s, const PositionScaleOperands& o) {
  PositionScaleParams p;
  p.width = s.width;
  p.padded_width = s.width + s.out.padding;
  p.x_base = s.x.base, p.x_stride = s.x.stride;
  p.y_base = s.out.base, p.y_stride = s.out.stride;
  p.interval = s.interval;
  p.scale = s.scale;
  return by_columns(shader<PositionScaleParams>("position_scale", "PositionScaleParams")
                        .add("position_scale")
                        .finish({uniform, uniform, read, write}),
                    p, {o.state, o.x, o.out});
}

Launch lower(const Rope& r, const RopeOperands& o) {
  CHECK(r.head > 0 && r.width % r.head == 0 && r.first + r.rotated <= r.head && r.rotated % 2 == 0 && r.rotated > 0);
  RopeParams p;
  p.width = r.width;
  p.padded_width = r.width + r.out.padding;
  p.head = r.head;
  p.first = r.first;
  p.x_base = r.x.base, p.x_stride = r.x.stride;
  p.y_base = r.out.base, p.y_stride = r.out.stride;
  const RopeConstants constants{
      .WORKGROUP = row_workgroup, .ROTATED = r.rotated, .ADJACENT = r.pairs == graph::RopePairs::adjacent};
  return by_columns(Shader("rope")
                        .params<RopeParams>("RopeParams")
                        .constants(constants)
                        .add("rope_angle")
                        .add("rope")
                        .finish({uniform, uniform, read, read, write}),
                    p, {o.state, o.rope_table, o.x, o.out});
}

Launch lower(const JoinColumns& j, const JoinColumnsOperands& o) {
  ColumnsParams p;
  p.groups = j.groups;
  p.padded_width = j.groups * (j.group_a + j.group_b) + j.out.padding;
  p.group_a = j.group_a;
  p.width_a = j.group_a;
  p.width_b = j.group_b;
  p.a_base = j.a.base, p.a_stride = j.a.stride;
  p.b_base = j.b.base, p.b_stride = j.b.stride;
  p.y_base = j.out.base, p.y_stride = j.out.stride;
  return by_columns(
      shader<ColumnsParams>("columns", "ColumnsParams").add("columns").finish({uniform, uniform, read, read, write}), p,
      {o.state, o.a, o.b, o.out});
}

Launch lower(const TakeColumns& t, const TakeColumnsOperands& o) {
  CHECK(t.first + t.width <= t.group);
  ColumnsParams p;
  p.groups = t.groups;
  p.padded_width = t.groups * t.width + t.out.padding;
  p.group_a = t.group;
  p.first_a = t.first;
  p.width_a = t.width;
  p.a_base = t.x.base, p.a_stride = t.x.stride;
  p.y_base = t.out.base, p.y_stride = t.out.stride;
  return by_columns(
      shader<ColumnsParams>("columns", "ColumnsParams").add("columns").finish({uniform, uniform, read, read, write}), p,
      {o.state, o.x, o.x, o.out});
}

Launch lower(const WeightedSum& s, const WeightedSumOperands& o) {
  WeightedSumParams p;
  p.width = s.width;
  p.padded_width = s.width + s.out.padding;
  p.parts = s.parts;
  p.x_base = s.x.base, p.x_stride = s.x.stride;
  p.weights_base = s.weights.base, p.weights_stride = s.weights.stride;
  p.y_base = s.out.base, p.y_stride = s.out.stride;
  return by_columns(shader<WeightedSumParams>("weighted_sum", "WeightedSumParams")
                        .add("weighted_sum")
                        .finish({uniform, uniform, read, read, write}),
                    p, {o.state, o.x, o.weights, o.out});
}

Launch lower(const KeepLargest& k, const KeepLargestOperands& o) {
  KeepLargestParams p;
  p.width = k.width;
  p.padded_width = k.width + k.out.padding;
  p.x_base = k.x.base, p.x_stride = k.x.stride;
  p.y_base = k.out.base, p.y_stride = k.out.stride;
  p.deviations = k.deviations;
  return {Shader("keep_largest")
              .params<KeepLargestParams>("KeepLargestParams")
              .constants(RowConstants{.WORKGROUP = 256})
              .add("reduce_workgroup")
              .add("keep_largest")
              .finish({uniform, uniform, read, write}),
          bytes_of(p),
          {o.state, o.x, o.out},
          nullptr,
          {},
          {Scale::Axis::y}};
}

Launch lower(const Route& r, const RouteOperands& o) {
  CHECK(r.experts <= graph::most_experts && r.used <= r.experts && r.groups > 0 && r.experts % r.groups == 0);
  CHECK(r.chosen.padding == r.weights.padding);
  RouteParams p;
  p.used = r.used;
  p.groups_used = r.groups_used;
  p.padding = r.chosen.padding;
  p.logits_base = r.logits.base, p.logits_stride = r.logits.stride;
  p.chosen_base = r.chosen.base, p.chosen_stride = r.chosen.stride;
  p.weights_base = r.weights.base, p.weights_stride = r.weights.stride;
  p.scale = r.scale;
  using Gating = graph::Route::Gating;
  const RouteConstants constants{.WORKGROUP = row_workgroup,
                                 .EXPERTS = r.experts,
                                 .GROUPS = r.groups,
                                 .SOFTMAX = r.gating == Gating::softmax,
                                 .SIGMOID = r.gating == Gating::sigmoid,
                                 .SOFTMAX_AFTER = r.gating == Gating::softmax_after,
                                 .BIAS = r.bias,
                                 .EXPERT_SCALE = r.expert_scale,
                                 .NORMALIZE = r.normalize,
                                 .BY_BEST = r.by_best};
  return {Shader("route")
              .params<RouteParams>("RouteParams")
              .constants(constants)
              .add("functions")
              .add("reduce_workgroup")
              .add("route")
              .finish({uniform, uniform, read, read, read, write, write}),
          bytes_of(p),
          {o.state, o.logits, o.bias, o.expert_scale, o.chosen, o.weights},
          nullptr,
          {},
          {Scale::Axis::y}};
}

}  // namespace pronk::kernels
