#include "models/recurrent.h"

#include <cmath>

namespace pronk::models {
namespace {

using graph::Function;

// Tokens that a convolution sees, its own included.
u32 read_kernel(Build& b, std::string_view key) {
  constexpr u32 longest = 256;
  const u32 kernel = b.count(key);
  if (kernel <= longest) return kernel;
  b.fail("metadata key '" + std::string(key) + "' is " + std::to_string(kernel) + ": not supported");
  return 1;
}

// ssm_conv1d over the tokens that came before, then SiLU. x [tokens, columns]
ValueId convolve(Layer& l, ValueId x) {
  const u32 columns = l.graph.width(x);
  const u32 kernel = read_kernel(l.build, "ssm.conv_kernel");
  const WeightId weight = l.build.matrix(l.name("ssm_conv1d.weight"), columns, kernel);
  const WeightId bias = l.build.optional_vector(l.name("ssm_conv1d.bias"), columns);
  return l.graph.map(Function::silu, l.graph.conv1d(x, weight, bias));
}

// What state space layers end in: y + d ⊙ x, gated by z. Each of the `heads` numbers of d serves a head's columns.
ValueId skip_and_gate(Layer& l, ValueId y, ValueId x, ValueId z, u32 heads) {
  const ValueId skipped = l.graph.map(Function::multiply, x, l.build.vector(l.name("ssm_d"), heads));
  return l.graph.map(Function::silu_gate, z, l.graph.add(y, skipped));
}

struct Sizes {
  u32 inner = 1;   // columns of all heads
  u32 state = 1;   // columns of a group
  u32 rank = 1;    // heads, or columns that the time step is made from
  u32 groups = 1;  // which heads share: of b and c, or key heads
};

// With limits that keep all products of them within 32 bits.
Sizes read_sizes(Build& b) {
  constexpr u32 most_columns = 1 << 20;
  constexpr u64 most_floats = 1 << 28;
  const Sizes s{.inner = b.count("ssm.inner_size"),
                .state = b.count("ssm.state_size"),
                .rank = b.count("ssm.time_step_rank"),
                .groups = b.count_or("ssm.group_count", 1)};
  if (s.inner <= most_columns && s.rank <= most_columns && u64(s.groups) * s.state <= most_columns &&
      u64(s.inner) * s.state <= most_floats) {
    return s;
  }
  b.fail("metadata keys 'ssm.*': larger than pronk runs");
  return {};
}

// The same where rank is the number of heads.
Sizes read_head_sizes(Build& b) {
  const Sizes s = read_sizes(b);
  if (s.inner % s.rank == 0 && s.rank % s.groups == 0) return s;
  b.fail("metadata keys 'ssm.inner_size', 'ssm.time_step_rank' and 'ssm.group_count' are not multiples of each other",
         ErrorCode::unspecified);
  return {};
}

}  // namespace

ValueId short_convolution(Layer& l, ValueId n) {
  graph::Builder& g = l.graph;
  const u32 width = l.build.hyper.width;
  const ValueId bcx = l.linear(n, "shortconv.in_proj", 3 * width);  // [tokens, b | c | x]
  const ValueId b = g.columns(bcx, 0, width);
  const ValueId c = g.columns(bcx, width, width);
  const ValueId x = g.columns(bcx, 2 * width, width);
  const WeightId kernel =
      l.build.matrix(l.name("shortconv.conv.weight"), width, read_kernel(l.build, "shortconv.l_cache"));
  const ValueId y = g.conv1d(g.map(Function::multiply, b, x), kernel);
  return l.linear(g.map(Function::multiply, c, y), "shortconv.out_proj", width);
}

ValueId mamba(Layer& l, ValueId n) {
  graph::Builder& g = l.graph;
  Build& b = l.build;
  const auto [inner, state, rank, groups] = read_sizes(b);
  const bool normed = b.flag_or("ssm.dt_b_c_rms", false);  // FalconMamba
  const auto part = [&](ValueId x, u32 first, u32 count) {
    const ValueId columns = g.columns(x, first, count);
    return normed ? g.rms_norm(columns, WeightId::none, float(b.rms_eps())) : columns;
  };

  const ValueId xz = l.linear(n, "ssm_in", 2 * inner);                                          // [tokens, x | z]
  const ValueId x = convolve(l, g.columns(xz, 0, inner));                                       // [tokens, inner]
  const ValueId dbc = l.linear(x, "ssm_x", rank + 2 * state);                                   // [tokens, dt | b | c]
  const ValueId dt = g.map(Function::softplus, l.linear(part(dbc, 0, rank), "ssm_dt", inner));  // [tokens, inner]
  const ValueId y = g.scan({.state = {},
                            .x = x,
                            .dt = dt,
                            .b = part(dbc, rank, state),
                            .c = part(dbc, rank + state, state),
                            .a = b.matrix(l.name("ssm_a"), inner, state),
                            .heads = inner,
                            .groups = groups});  // [tokens, inner]
  return l.linear(skip_and_gate(l, y, x, g.columns(xz, inner, inner), inner), "ssm_out", b.hyper.width);
}

ValueId mamba2(Layer& l, ValueId n) { return scaled_mamba2(l, n, {1, 1, 1, 1, 1}); }

ValueId scaled_mamba2(Layer& l, ValueId n, const Mamba2Factors& factors) {
  graph::Builder& g = l.graph;
  Build& b = l.build;
  const auto [inner, state, heads, groups] = read_head_sizes(b);
  const u32 shared = groups * state, mixed = inner + 2 * shared;

  const ValueId in = l.linear(n, "ssm_in", inner + mixed + heads);  // [tokens, z | x | b | c | dt]
  const auto part = [&](u32 first, u32 count, double factor) {
    const ValueId columns = g.columns(in, first, count);
    return factor == 1 ? columns : g.scale(columns, factor);
  };
  const ValueId z = part(0, inner, factors[0]);
  ValueId mix = g.columns(in, inner, mixed);
  if (factors[1] != 1 || factors[2] != 1 || factors[3] != 1) {
    mix = g.join_columns(part(inner, inner, factors[1]), inner, part(2 * inner, shared, factors[2]), shared);
    mix = g.join_columns(mix, inner + shared, part(2 * inner + shared, shared, factors[3]), shared);
  }
  const ValueId xbc = convolve(l, mix);
  const ValueId dt = g.map(Function::softplus, g.map(Function::add, part(inner + mixed, heads, factors[4]),
                                                     b.vector(l.name("ssm_dt.bias"), heads)));  // [tokens, heads]
  const ValueId x = g.columns(xbc, 0, inner);
  ValueId y = g.scan({.state = {},
                      .x = x,
                      .dt = dt,
                      .b = g.columns(xbc, inner, shared),
                      .c = g.columns(xbc, inner + shared, shared),
                      .a = b.vector(l.name("ssm_a"), heads),
                      .heads = heads,
                      .groups = groups});  // [tokens, inner]
  y = skip_and_gate(l, y, x, z, heads);
  if (l.has("ssm_norm.weight")) {
    y = g.norm({.x = y,
                .weight = b.vector(l.name("ssm_norm.weight"), inner),
                .group = inner / groups,
                .eps = float(b.rms_eps())});
  }
  return l.linear(y, "ssm_out", b.hyper.width);
}

ValueId gated_delta_net(Layer& l, ValueId n) {
  graph::Builder& g = l.graph;
  Build& b = l.build;
  const auto [inner, key, heads, key_heads] = read_head_sizes(b);  // heads: of values
  const u32 keys = key_heads * key;
  const double eps = b.rms_eps();
  // x / √(Σx² + eps) by heads, times a factor
  const auto unit = [&](ValueId x, double factor) {
    return g.norm({.x = x, .group = key, .eps = float(eps / key), .scale = float(factor / std::sqrt(double(key)))});
  };

  const ValueId qkv = convolve(l, l.linear(n, "attn_qkv", 2 * keys + inner));  // [tokens, q | k | v]
  const bool by_key_head = l.has("ssm_ba.weight");                             // Qwen3-Next
  ValueId beta, alpha;                                                         // [tokens, heads]
  if (by_key_head) {
    const ValueId ba = l.linear(n, "ssm_ba", 2 * heads);  // [tokens, key heads · (beta | alpha)]
    const u32 each = heads / key_heads;
    beta = g.take_columns(ba, 2 * each, 0, each);
    alpha = g.take_columns(ba, 2 * each, each, each);
  } else {
    beta = l.linear(n, "ssm_beta", heads);
    alpha = l.linear(n, "ssm_alpha", heads);
  }
  const ValueId step = g.map(Function::softplus, g.map(Function::add, alpha, b.vector(l.name("ssm_dt.bias"), heads)));
  const ValueId o =
      g.delta_rule({.state = {},
                    .q = unit(g.columns(qkv, 0, keys), 1 / std::sqrt(double(key))),
                    .k = unit(g.columns(qkv, keys, keys), 1),
                    .v = g.columns(qkv, 2 * keys, inner),
                    .decay = g.map(Function::multiply, step, b.vector(l.name("ssm_a"), heads)),
                    .beta = g.map(Function::sigmoid, beta),
                    .key_heads = key_heads,
                    .value_heads = heads,
                    .neighbours_share = by_key_head || b.flag_or("ssm.neighbours_share", false)});  // [tokens, inner]
  const ValueId normed = g.rms_norm(o, b.vector(l.name("ssm_norm.weight"), inner / heads), float(eps));
  return l.linear(g.map(Function::silu_gate, l.linear(n, "attn_gate", inner), normed), "ssm_out", b.hyper.width);
}

}  // namespace pronk::models
