// Recurrences: one dispatch goes through all tokens of a step.
#include "kernels/launch_common.h"

namespace pronk::kernels {

Launch lower(const Conv1d& c, const Conv1dOperands& o) {
  CHECK(c.kernel > 0);
  constexpr u32 workgroup = 64;
  Conv1dParams p;
  p.width = c.width;
  p.padded_width = c.width + c.out.padding;
  p.x_base = c.x.base, p.x_stride = c.x.stride;
  p.y_base = c.out.base, p.y_stride = c.out.stride;
  return {Shader("conv1d")
              .params<Conv1dParams>("Conv1dParams")
              .constants(Conv1dConstants{.WORKGROUP = workgroup, .KERNEL = c.kernel, .BIAS = c.bias})
              .add("conv1d")
              .finish({uniform, uniform, read, read, read, write, write}),
          bytes_of(p),
          {o.state, o.x, o.weight, o.bias, o.memory, o.out},
          nullptr,
          {u32(ceil_div(p.padded_width, workgroup))},
          {}};
}

Launch lower(const DeltaRule& d, const DeltaRuleOperands& o) {
  CHECK(d.key_heads > 0 && d.value_heads % d.key_heads == 0);
  DeltaRuleParams p;
  p.key_heads = d.key_heads;
  p.value_heads = d.value_heads;
  p.value = d.value;
  p.padding = d.out.padding;
  p.q_base = d.q.base, p.q_stride = d.q.stride;
  p.k_base = d.k.base, p.k_stride = d.k.stride;
  p.v_base = d.v.base, p.v_stride = d.v.stride;
  p.decay_base = d.decay.base, p.decay_stride = d.decay.stride;
  p.beta_base = d.beta.base, p.beta_stride = d.beta.stride;
  p.y_base = d.out.base, p.y_stride = d.out.stride;
  const DeltaRuleConstants constants{.KEY = d.key, .COLUMNS = 8, .LANES = 8, .NEIGHBOURS_SHARE = d.neighbours_share};
  return {Shader("delta_rule")
              .params<DeltaRuleParams>("DeltaRuleParams")
              .constants(constants)
              .add("delta_rule")
              .finish({uniform, uniform, read, read, read, read, read, write, write}),
          bytes_of(p),
          {o.state, o.q, o.k, o.v, o.decay, o.beta, o.memory, o.out},
          nullptr,
          {u32(ceil_div(d.value, constants.COLUMNS)), d.value_heads},
          {}};
}

Launch lower(const Scan& s, const ScanOperands& o) {
  CHECK(s.groups > 0 && s.heads % s.groups == 0);
  ScanParams p;
  p.heads = s.heads;
  p.groups = s.groups;
  p.width = s.width;
  p.padding = s.out.padding;
  p.x_base = s.x.base, p.x_stride = s.x.stride;
  p.dt_base = s.dt.base, p.dt_stride = s.dt.stride;
  p.b_base = s.b.base, p.b_stride = s.b.stride;
  p.c_base = s.c.base, p.c_stride = s.c.stride;
  p.y_base = s.out.base, p.y_stride = s.out.stride;
  const ScanConstants constants{.STATE = s.state, .LANES = s.state < 64 ? 4u : 8u, .A_OF_STATE = s.a_of_state};
  constexpr u32 workgroup = 64;
  return {Shader("scan")
              .params<ScanParams>("ScanParams")
              .constants(constants)
              .add("scan")
              .finish({uniform, uniform, read, read, read, read, read, write, write}),
          bytes_of(p),
          {o.state, o.x, o.dt, o.b, o.c, o.a, o.memory, o.out},
          nullptr,
          {u32(ceil_div(u64(s.heads) * s.width, workgroup / constants.LANES))},
          {}};
}

}  // namespace pronk::kernels
