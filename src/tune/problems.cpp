#include "tune/problems.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/gpu_plan_lowering.h"

namespace pronk::tune {
namespace {

using engine::MatMulKernel;
using kernels::TunedKernel;

// Enough rows to keep any GPU busy; enough tokens for a tile or two; a context as conversations have.
constexpr u32 most_rows = 32768, gemm_tokens = 128, batch_tokens = 8, most_context = 4096, least_cols = 300;

class Problems {
 public:
  Problems(const models::Model& model, const engine::GpuPlan& plan, const gpu::Limits& limits,
           const gpu::Features& features)
      : graph_(model.graph), plan_(plan), limits_(limits), features_(features) {}

  std::vector<Problem> make() {
    const auto fused = graph::fuse(graph_);
    CHECK(fused.has_value());  // the plan was made from it
    for (const graph::FusedNode& node : fused->nodes) std::visit([&](const auto& op) { add(op); }, node.op);
    std::sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
      return std::pair(rank(a.kernel), std::string_view(a.key)) < std::pair(rank(b.kernel), std::string_view(b.key));
    });
    return std::move(problems_);
  }

 private:
  static u32 rank(TunedKernel kernel) {
    constexpr u32 ranks[] = {0, 4, 2, 1, 3};  // as TunedKernel counts
    return ranks[u32(kernel)];
  }

  // Null when a problem with this key is there already.
  Problem* fresh(TunedKernel kernel, std::string key, const gpu::Features& features) {
    if (!keys_.insert(key).second) return nullptr;
    Problem& problem = problems_.emplace_back();
    problem.kernel = kernel;
    problem.key = std::move(key);
    const u32 standard = engine::planned_candidate(plan_.options, kernel, problem.key, limits_, features);
    problem.candidates = {standard};
    for (u32 i = 0; i < kernels::candidate_count(kernel); ++i) {
      if (i != standard && kernels::runs(kernel, i, limits_, features)) problem.candidates.push_back(i);
    }
    return &problem;
  }

  void add(const auto&) {}

  void add(const graph::FusedMatMul& op) {
    const engine::Matrix& matrix = plan_.weights.matrix(engine::part_weights(op));
    const kernels::MatMulKind kind{matrix.format, op.norm != graph::WeightId::none, !engine::part_biases(op).empty(),
                                   op.epilogue, op.gate};
    gpu::Features features = kernels::features_for(*matrix.format, features_);
    if (plan_.options.activations == graph::Activations::f32)
      features.integer_dot_product = features.shader_f16 = false;
    const bool logits = op.out == graph_.output && !plan_.options.all_logits;  // of one token alone
    for (const engine::MatrixPart& part : matrix.parts) {
      for (const auto& [kernel, tokens] : {std::pair{MatMulKernel::matvec, 1u},
                                           {MatMulKernel::batch, batch_tokens},
                                           {MatMulKernel::gemm, std::min(gemm_tokens, plan_.options.chunk)}}) {
        if (logits && kernel != MatMulKernel::matvec) continue;
        if (kernel == MatMulKernel::gemm && matrix.rows <= kernels::narrow_rows) continue;  // see kernels.h
        const TunedKernel tuned = kernels::tuned(kernel);
        Problem* problem = fresh(tuned, kernels::tuning_key(tuned, *matrix.format, part.rows, matrix.cols), features);
        if (!problem) continue;
        std::erase_if(problem->candidates, [&](u32 candidate) {
          const u32 weight_rows = kernels::weight_rows(kind, matrix.rows);
          return !engine::has_room(tuned, candidate, weight_rows, plan_.options.chunk, limits_);
        });
        set_cases(*problem, kernel, kind, u32(std::min<u64>(part.rows, most_rows)), matrix.cols, tokens);
      }
    }
  }

  void set_cases(Problem& problem, MatMulKernel kernel, const kernels::MatMulKind& kind, u32 rows, u32 cols,
                 u32 tokens) {
    engine::MatMulSpec spec{.kernel = kernel, .kind = kind, .rows = rows, .cols = cols, .tokens = tokens};
    problem.check = [spec, limits = limits_, features = features_](u32 candidate) {
      engine::MatMulSpec small = spec;
      small.rows = 133, small.cols = u32(align_up(least_cols, spec.kind.format->block_weights));
      small.tokens = std::min(spec.tokens, 68u);
      small.candidate = candidate;
      return engine::matmul_case(small, limits, features, 1);
    };
    problem.timing = [spec, limits = limits_, features = features_](std::span<const u32> candidates) {
      engine::MatMulSpec timed = spec;
      timed.candidate = candidates.front();
      timed.others.assign(candidates.begin() + 1, candidates.end());
      timed.answer = false;
      return engine::matmul_case(timed, limits, features, 1);
    };
  }

  void add(const graph::Attention& op) {
    const graph::KvState& state = graph_.kv(op.state);
    const kernels::HeadShape heads{op.heads, state.heads, state.key_width, state.value_width, state.values_in_keys};
    if (heads.key != heads.value || heads.values_in_keys || !op.causal) return;
    for (const bool decode : {true, false}) {
      const TunedKernel kernel = decode ? TunedKernel::attention_decode : TunedKernel::attention_prefill;
      Problem* problem = fresh(kernel, kernels::tuning_key(kernel, heads, plan_.options.kv), features_);
      if (problem) set_cases(*problem, heads, decode);
    }
  }

  void set_cases(Problem& problem, const kernels::HeadShape& heads, bool decode) {
    const u32 chunk = decode ? 1 : plan_.options.chunk, room = engine::partial_splits(heads, limits_);
    std::erase_if(problem.candidates, [&](u32 candidate) {
      return decode && kernels::attention_tile(heads, chunk, decode, candidate).splits > room;
    });
    const auto tile = [heads, chunk, decode](u32 candidate) {
      return kernels::attention_tile(heads, chunk, decode, candidate);
    };
    const graph::KvTypes kv = plan_.options.kv;
    problem.check = [=](u32 candidate) {
      engine::AttentionSpec spec{.heads = heads,
                                 .kv = kv,
                                 .scale = 0.25f / std::sqrt(float(heads.key)),
                                 .rotated = heads.key,
                                 .tokens = 70,
                                 .attend = !decode,
                                 .decode = decode};
      (decode ? spec.decode_tile : spec.prefill_tile) = tile(candidate);
      return engine::attention_case(spec, 1);
    };
    const u32 context = std::clamp(plan_.options.context, chunk, std::max(chunk, most_context));
    problem.timing = [=](std::span<const u32> candidates) {
      std::vector<kernels::AttentionTile> tiles;
      for (const u32 candidate : candidates) tiles.push_back(tile(candidate));
      return engine::attention_timing(heads, kv, context, chunk, tiles);
    };
  }

  const graph::Graph& graph_;
  const engine::GpuPlan& plan_;
  const gpu::Limits& limits_;
  const gpu::Features& features_;
  std::vector<Problem> problems_;
  std::set<std::string> keys_;
};

}  // namespace

u32 Problem::steps_of(u32 candidate) const {
  const auto gemm = kernels::gemm_tile(kernel, candidate);
  return kernel == TunedKernel::attention_decode || (gemm && gemm->splits > 1) ? 2 : 1;
}

std::vector<Problem> problems(const models::Model& model, const engine::GpuPlan& plan, const gpu::Limits& limits,
                              const gpu::Features& features) {
  return Problems(model, plan, limits, features).make();
}

}  // namespace pronk::tune
