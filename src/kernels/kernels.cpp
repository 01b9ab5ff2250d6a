#include "kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "formats/additive.h"
#include "kernels/shader.h"

namespace pronk::kernels {
namespace {

using gpu::BindingType;
using gpu::PipelineDesc;

constexpr u32 embed_workgroup = 64, combine_workgroup = 64;
// With top-k the candidates are few as long as there are more blocks than k: small blocks serve small vocabularies too.
constexpr SampleConstants sample_tile{.WORKGROUP = 256, .TILE = 1024, .BLOCK = 64};

const MatVecTile& default_matvec(const gpu::Features& features) {
  return matvec_tiles(false)[default_candidate(TunedKernel::matvec, features)];
}

// The same gate for all kinds that have none.
Shader& add_kind(Shader& shader, const MatMulKind& kind) {
  const bool gate = kind.epilogue == graph::Epilogue::gate, gated = kind.epilogue == graph::Epilogue::gated;
  using enum graph::Function;
  CHECK(!(gate || gated) || (graph::takes_two(kind.gate) && kind.gate != add_scaled && kind.gate != clamped_gate));
  return shader.params<MatMulParams>("MatMulParams")
      .constants(KindConstants{.NORM = kind.norm,
                               .BIAS = kind.bias,
                               .ADD = kind.epilogue == graph::Epilogue::add,
                               .GATE = gate,
                               .GATED = gated})
      .function(gate || gated ? kind.gate : silu_gate, gate || gated);
}

// Behind a kernel's own constants, all that comes before the weight's format.
Shader& add_matmul(Shader& shader, const MatMulKind& kind) {
  return add_kind(shader, kind).add("common").add("matmul_bindings");
}

PipelineDesc finish_matmul(Shader& shader) {
  return shader.finish({uniform, uniform, read, read, read, read, read, write});
}

// By lanes of a CPU.
PipelineDesc matmul_of_lanes(std::string_view name, Shader& shader, const MatMulKind& kind) {
  add_matmul(shader, kind).format(*kind.format, 8, false, kind.odd_units).blocks(*kind.format);
  return finish_matmul(shader.enable("subgroups").add("lanes_common").add(name));
}

// A GEMM with splits does what comes before the sums, and nothing that comes after them.
MatMulKind kind_of_partial(const MatMulKind& kind) {
  const bool gated = kind.epilogue == graph::Epilogue::gated;
  return {.format = kind.format,
          .norm = kind.norm,
          .epilogue = gated ? graph::Epilogue::gated : graph::Epilogue::none,
          .odd_units = kind.odd_units};
}

// joins: what threads of a workgroup have.
Shader sample(std::string_view name, bool joins) {
  Shader shader(name);
  shader.params<SampleParams>("SampleParams").constants(sample_tile).add("sample_common");
  if (joins) shader.add("sample_all");
  shader.add(name);
  return shader;
}

}  // namespace

bool has_odd_units(const formats::Format& format, u32 cols) {
  return formats::is_additive(format) && cols / 8 % 2 != 0;
}

PipelineDesc matvec(const MatMulKind& kind, const MatVecTile& tile, u32 tokens) {
  CHECK(tokens == 1 || tokens == batch_tokens);
  const std::string_view name = tile.blocks == 0 ? "matvec_lanes" : "matvec";
  Shader shader(name);
  if (tile.blocks == 0) return matmul_of_lanes(name, shader.constants(MatVecLanesConstants{.LANES = tile.lanes}), kind);
  shader.constants(MatVecConstants{.LANES = tile.lanes, .ROWS = tile.rows, .TILE = tile.blocks, .TOKENS = tokens});
  add_matmul(shader, kind);
  if (tile.subgroups) shader.enable("subgroups");
  return finish_matmul(shader.format(*kind.format, 8, keeps_books(*kind.format, tile, tokens), kind.odd_units)
                           .products(*kind.format, tile.int8)
                           .add("matvec")
                           .with(tile.subgroups ? "reduce_subgroup" : "reduce_lanes"));
}

PipelineDesc expert_matvec(const formats::Format& format, bool chosen, bool bias, const gpu::Features& features) {
  const MatVecTile& tile = default_matvec(features);
  Shader shader("expert_matvec");
  if (tile.subgroups) shader.enable("subgroups");
  return shader.params<ExpertParams>("ExpertParams")
      .constants(
          ExpertConstants{.LANES = tile.lanes, .ROWS = tile.rows, .TILE = tile.blocks, .CHOSEN = chosen, .BIAS = bias})
      .add("common")
      .format(format, 8)
      .products(format)
      .add("expert_matvec")
      .with(tile.subgroups ? "reduce_subgroup" : "reduce_lanes")
      .finish({uniform, uniform, read, read, read, read, read, write});
}

PipelineDesc gemm(const MatMulKind& kind, const GemmTile& tile) {
  const std::string_view name = tile.lanes > 0 ? "gemm_lanes" : "gemm";
  Shader shader(name);
  if (tile.lanes > 0) {
    shader.constants(GemmLanesConstants{.TILE_T = tile.tokens, .TILE_N = tile.rows, .LANES = tile.lanes});
    return matmul_of_lanes(name, shader, kind);
  }
  shader.constants(GemmConstants{.TILE_T = tile.tokens, .TILE_N = tile.rows, .TILE_K = tile.depth()});
  const bool splits = tile.splits > 1;
  if (splits) shader.constants(GemmSplitConstants{.SPLITS = tile.splits});
  add_matmul(shader, splits ? kind_of_partial(kind) : kind).format(*kind.format, 8).tile(*kind.format, tile);
  shader.add(splits ? "gemm_partial" : "gemm_output").add(splits ? "gemm_split" : "gemm_whole");
  return finish_matmul(shader.add("gemm"));
}

PipelineDesc gemm_combine(const MatMulKind& kind, u32 splits) {
  Shader shader("gemm_combine");
  shader.constants(GemmSplitConstants{.SPLITS = splits}).constants(RowConstants{.WORKGROUP = combine_workgroup});
  return add_kind(shader, kind)
      .add("gemm_combine")
      .add("gemm_partial")
      .add("gemm_output")
      .finish({uniform, uniform, read, read, write});
}

u32 gemm_combine_grid(u32 padded_rows) { return u32(ceil_div(padded_rows, combine_workgroup)); }

u64 gemm_partial_bytes(u32 splits, u32 weight_rows, u32 tokens) {
  return u64(splits) * tokens * (u64(weight_rows) + 1) * sizeof(float);  // and sums of squares
}

PipelineDesc expert_gemm(const formats::Format& format, bool chosen, bool bias) {
  const GemmTile& tile = gemm_tiles().front();
  return Shader("expert_gemm")
      .params<ExpertParams>("ExpertParams")
      .constants(ExpertGemmConstants{
          .TILE_T = tile.tokens, .TILE_N = tile.rows, .TILE_K = tile.depth(), .CHOSEN = chosen, .BIAS = bias})
      .add("common")
      .format(format, 8)
      .tile(format, tile)
      .add("expert_gemm")
      .finish({uniform, uniform, read, read, read, read, read, write});
}

PipelineDesc group_experts(u32 experts) {
  return Shader("group_experts")
      .params<GroupParams>("GroupParams")
      .constants(GroupConstants{.WORKGROUP = 256, .EXPERTS = experts, .TILE_T = gemm_tiles().front().tokens})
      .add("group_experts")
      .finish({uniform, uniform, read, write});
}

// Each expert may have one that is not full.
u32 expert_tiles(u32 slots, u32 experts) { return std::min(slots, slots / gemm_tiles().front().tokens + experts); }

u64 expert_groups_bytes(u32 slots, u32 experts) {
  return (1 + u64(3) * expert_tiles(slots, experts) + 2 * u64(slots)) * sizeof(u32);
}

Grid matvec_grid(u32 rows, const MatVecTile& tile, u32 tokens, const gpu::Limits& limits, bool gated) {
  if (tile.blocks == 0) return {u32(ceil_div(rows, tile.lanes * (gated ? tile.rows / 2 : tile.rows))), 1, 1};
  const u32 rows_a_group = 2 * tile.blocks * tokens / tile.lanes * tile.rows;
  const u32 groups = u32(ceil_div(rows, rows_a_group));
  const u32 x = std::min(groups, limits.max_compute_workgroups_per_dimension);
  return {x, u32(ceil_div(groups, x)), 1};
}

Grid gemm_grid(u32 rows, bool gated, const GemmTile& tile) {
  return {u32(ceil_div(rows, gated ? tile.rows / 2 : tile.rows)), 1, tile.splits};
}

u32 gemm_step() { return gemm_tiles().front().tokens / 2; }

PipelineDesc embed(const formats::Format& format, bool by_position) {
  return Shader("embed")
      .params<EmbedParams>("EmbedParams")
      .constants(EmbedConstants{.WORKGROUP = embed_workgroup, .BY_POSITION = by_position})
      .add("common")
      .format(format, 6)
      .add("embed")
      .finish({uniform, uniform, read, read, read, write});
}

u32 embed_grid(u32 row_units) { return u32(ceil_div(row_units, embed_workgroup)); }

std::vector<float> rope_table(const graph::RopeTable& rope, std::span<const float> factors, u32 context) {
  const std::vector<double>& frequency = rope.frequency_at(context);
  const u64 pairs = frequency.size();
  std::vector<float> table(rope_table_bytes(u32(2 * pairs), context) / sizeof(float));
  float* out = table.data();
  const auto row = [&](double position, double magnitude) {
    for (u64 i = 0; i < pairs; ++i) {
      const double angle = position * frequency[i] / (factors.empty() ? 1.0 : factors[i]);
      *out++ = float(magnitude * std::cos(angle));
      *out++ = float(magnitude * std::sin(angle));
    }
  };
  for (u32 rest = 0; rest < 64; ++rest) row(rest, rope.magnitude);
  for (u32 whole = 0; whole < ceil_div(context, 64); ++whole) row(64.0 * whole, 1);
  return table;
}

u64 rope_table_bytes(u32 rotated, u32 context) { return (64 + ceil_div(context, 64)) * rotated * sizeof(float); }

u64 sample_blocks_bytes(u32 vocab) { return ceil_div(vocab, sample_tile.BLOCK) * 3 * sizeof(u32); }
u64 sample_candidates_bytes(u32 vocab) { return (u64(vocab) + 1) * sizeof(u32); }
u64 mask_bytes(u32 vocab) { return ceil_div(vocab, 32) * sizeof(u32); }
u32 sample_grid(u32 vocab) { return u32(ceil_div(vocab, sample_tile.TILE)); }

SampleParams sample_params(const graph::SamplingParams& sampling, u32 vocab, u32 context, u32 end_count) {
  constexpr float off = -1e30f;
  SampleParams p;
  p.vocab = vocab;
  p.blocks = u32(ceil_div(vocab, sample_tile.BLOCK));
  p.context = context;
  p.greedy = graph::is_greedy(sampling);
  p.top_k = sampling.top_k < vocab ? sampling.top_k : 0;
  p.end_count = end_count;
  p.seed_low = u32(sampling.seed);
  p.seed_high = u32(sampling.seed >> 32);
  p.inverse_temperature = graph::inverse_temperature(sampling);
  p.top_p = sampling.top_p < 1 ? std::max(sampling.top_p, 0.0f) : 1.0f;
  p.log_min_p = sampling.min_p > 0 ? std::min(0.0f, std::log(sampling.min_p)) : off;
  return p;
}

AdjustParams adjust_params(const graph::SamplingParams& sampling, u32 first_step, bool masked) {
  AdjustParams p;
  p.first_step = first_step;
  p.masked = masked;
  p.repetition = sampling.repetition_penalty;
  p.frequency = sampling.frequency_penalty;
  p.presence = sampling.presence_penalty;
  return p;
}

PipelineDesc sample_blocks(bool adjust) {
  Shader shader = sample("sample_blocks", false);
  if (!adjust) return shader.add("sample_logits").finish({uniform, uniform, read, write, write});
  return shader.params<AdjustParams>("AdjustParams")
      .with("sample_adjust")
      .finish({uniform, uniform, write, write, write, uniform, read, read, write});
}
PipelineDesc sample_filter() { return sample("sample_filter", true).finish({uniform, uniform, read, read, write}); }
PipelineDesc sample_pick() {
  return sample("sample_pick", true).finish({uniform, read, read, read, read, write, write, write});
}

}  // namespace pronk::kernels
