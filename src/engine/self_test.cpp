#include "engine/self_test.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>

namespace pronk::engine {
namespace {

using graph::WeightId;

// Small, with ragged edges, and more than one round of every loop and tile.
constexpr u32 rows = 70, least_cols = 300, gemm_tokens = 34, batch_tokens = 11, prompt_tokens = 70, vocab = 2500;

class Cases {
 public:
  Cases(const models::Model& model, const GpuPlan& plan, const gpu::Limits& limits, const gpu::Features& features)
      : graph_(model.graph), plan_(plan), limits_(limits), features_(features) {}

  std::vector<OpCase> make() {
    const auto fused = graph::fuse(graph_);
    CHECK(fused.has_value());  // the plan was made from it
    for (const graph::FusedNode& node : fused->nodes) {
      if (const auto* embed = std::get_if<graph::Embed>(&node.op)) add(*embed);
      if (const auto* matmul = std::get_if<graph::FusedMatMul>(&node.op)) add(*matmul);
      if (const auto* rotate = std::get_if<graph::RotateStore>(&node.op)) add(*rotate);
    }
    for (const graph::SamplingParams& sampling :
         {graph::SamplingParams{}, {.temperature = 0.8f, .top_k = 40, .top_p = 0.9f, .seed = 1}}) {
      cases_.push_back(sampling_case(vocab, sampling, 1));
    }
    std::erase_if(cases_, [&](const OpCase& c) { return !all_planned(c); });
    return std::move(cases_);
  }

 private:
  bool planned(const gpu::PipelineDesc& kernel) const {
    const auto same = [&](const gpu::PipelineDesc& each) { return each.label == kernel.label; };
    return std::any_of(plan_.pipelines.begin(), plan_.pipelines.end(), same);
  }

  static u32 cols(const formats::Format& format) { return u32(align_up(least_cols, format.block_weights)); }

  void add(const graph::Embed& embed) {
    const formats::Format& format = *graph_[embed.table].format;
    cases_.push_back(embed_case(format, 5, cols(format), 1));
  }

  void add(const graph::FusedMatMul& matmul) {
    const kernels::MatMulKind kind{graph_[matmul.parts[0].weight].format, matmul.norm != WeightId::none,
                                   !part_biases(matmul).empty(), matmul.epilogue, matmul.gate};
    const auto key = std::tuple(kind.format, kind.norm, kind.bias, kind.epilogue, kind.gate);
    if (std::find(kinds_.begin(), kinds_.end(), key) != kinds_.end()) return;
    kinds_.push_back(key);
    for (const auto& [kernel, tokens] : {std::pair{MatMulKernel::matvec, 1u},
                                         {MatMulKernel::batch, batch_tokens},
                                         {MatMulKernel::gemm, gemm_tokens}}) {
      if (!planned(kernels::matmul_pipeline(kernel, kind, features_))) continue;
      const MatMulSpec spec{
          .kernel = kernel, .kind = kind, .rows = rows, .cols = cols(*kind.format), .tokens = tokens, .padding = 2};
      cases_.push_back(matmul_case(spec, limits_, features_, u32(cases_.size())));
    }
  }

  bool all_planned(const OpCase& c) const {
    return std::all_of(c.steps.begin(), c.steps.end(), [&](const OpStep& step) { return planned(step.kernel); });
  }

  // The model's own heads decide on tiles and splits, two KV heads are enough. Of a model's last layer only what it
  // stores is prefilled.
  void add(const graph::RotateStore& rotate) {
    const graph::KvState& state = graph_.kv(rotate.state);
    const graph::RopeTable& table = graph_[rotate.table];
    AttentionSpec spec{.heads = {rotate.heads, state.heads, state.key_width, state.value_width},
                       .kv = plan_.options.kv,
                       .scale = 0.25f / std::sqrt(float(state.key_width)),
                       .rotated = table.rotated(),
                       .pairs = table.pairs,
                       .q_norm = rotate.q_norm != WeightId::none,
                       .k_norm = rotate.k_norm != WeightId::none,
                       .tokens = prompt_tokens,
                       .decode = true};
    const auto key = std::tuple(rotate.heads, state.heads, state.key_width, spec.rotated, spec.q_norm, spec.k_norm);
    if (std::find(rotations_.begin(), rotations_.end(), key) != rotations_.end()) return;
    rotations_.push_back(key);
    const u32 group = spec.heads.query / spec.heads.kv;
    spec.prefill_vectors = kernels::attention_vectors(spec.heads, plan_.options.chunk);
    spec.decode_vectors = kernels::attention_vectors(spec.heads, 1);
    spec.splits = kernels::attention_splits(spec.heads);
    spec.heads.kv = std::min(spec.heads.kv, 2u);
    spec.heads.query = group * spec.heads.kv;
    OpCase whole = attention_case(spec, 1);
    spec.attend = all_planned(whole);
    cases_.push_back(spec.attend ? std::move(whole) : attention_case(spec, 1));
  }

  const graph::Graph& graph_;
  const GpuPlan& plan_;
  const gpu::Limits& limits_;
  const gpu::Features& features_;
  std::vector<OpCase> cases_;
  std::vector<std::tuple<const formats::Format*, bool, bool, graph::Epilogue, graph::Function>> kinds_;
  std::vector<std::tuple<u32, u32, u32, u32, bool, bool>> rotations_;
};

std::string adapter_name(const gpu::AdapterInfo& info) {
  std::string name;
  for (const std::string* part : {&info.vendor, &info.architecture, &info.device, &info.description}) {
    if (!part->empty()) name += (name.empty() ? "" : " ") + *part;
  }
  return name.empty() ? "of unknown name" : name;
}

}  // namespace

std::vector<OpCase> self_test_cases(const models::Model& model, const GpuPlan& plan, const gpu::Limits& limits,
                                    const gpu::Features& features) {
  return Cases(model, plan, limits, features).make();
}

Status self_test_verdict(const OpRun& run, const gpu::AdapterInfo& adapter) {
  double furthest = 1;
  OpResult worst;
  for (std::size_t i = 0; i < run.cases().size(); ++i) {
    const OpResult result = run.result(i);
    // Sampling is all or nothing, without a tolerance.
    const double tolerance = std::max(run.cases()[i].tolerance, 1e-30), ratio = result.error / tolerance;
    if (ratio <= furthest) continue;
    furthest = ratio;
    worst = result;
  }
  if (furthest <= 1) return {};
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.1e", worst.error);  // to_chars() would add its tables to the WASM module
  return fail(ErrorCode::wrong_gpu, "this GPU computes wrongly: kernel '" + worst.kernels + "' is off by " + digits +
                                        " (adapter " + adapter_name(adapter) +
                                        "); another driver or browser may do better, the CPU works");
}

}  // namespace pronk::engine
