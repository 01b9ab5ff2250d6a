#include "engine/preflight.h"

#include <algorithm>

#include "base/units.h"
#include "cpu/processors.h"
#include "engine/cpu_runner.h"
#include "engine/gpu_backend.h"
#include "engine/weight_memory.h"

namespace pronk::engine {
namespace {

constexpr u32 default_context = 4096, default_encoder_context = 512;
constexpr u32 most_context = 1 << 24;

}  // namespace

Result<Plan> Preflight::run(bool search) const {
  if (options_.threads > cpu::most_threads)
    return fail(ErrorCode::bad_argument, std::to_string(options_.threads) + " threads are absurd");
  if (options_.context > most_context)
    return fail(ErrorCode::bad_argument, "context length " + std::to_string(options_.context) + " is absurd");
  const u32 positions = model_.graph.positions();
  if (options_.context > positions)
    return fail(ErrorCode::bad_argument, "context length " + std::to_string(options_.context) + " is above the " +
                                             std::to_string(positions) + " positions that the model knows");
  const u32 trained = std::clamp(model_.hyper.context_length, 1u, most_context);
  const u32 usual = model_.graph.causal() ? default_context : default_encoder_context;
  Plan plan;
  if (search || options_.largest_context) plan.largest_context = largest(trained, options_.kv);
  plan.context = options_.context > 0 ? options_.context : std::min(trained, usual);
  if (options_.largest_context) plan.context = std::max(plan.largest_context, 1u);
  const Sizes sizes = at(plan.context, options_.kv);
  plan.memory = sizes.memory;
  plan.activations_lower_bound = sizes.activations_lower_bound;
  plan.refusal = sizes.refusal;
  plan.refusal_code = sizes.refusal_code;
  if (!plan.fits()) plan.refusal += what_would_fit(plan.context, trained);
  return plan;
}

std::string Preflight::figures_and_less(const Plan& plan) const {
  using graph::KvType;
  const MemoryUse& use = plan.memory;
  std::string text = "the plan needs " + megabytes(use.total()) + " (weights " + megabytes(use.weights) +
                     ", KV cache " + megabytes(use.kv_cache) + ", all else " +
                     megabytes(use.total() - use.weights - use.kv_cache) + ")";
  const auto offer = [&](const std::string& change, u32 context, graph::KvTypes kv) {
    const u64 total = at(context, kv).memory.total();
    if (total < use.total()) text += "; " + change + " needs " + megabytes(total);
  };
  if (plan.context > 1) offer("half the context", plan.context / 2, options_.kv);
  offer("a KV cache of 8 bits", plan.context, KvType::q8);
  return text;
}

Preflight::Sizes Preflight::at(u32 context, graph::KvTypes kv) const {
  Sizes sizes;
  if (limits_) {
    const GpuSizes gpu = gpu_sizes(model_, options_, context, kv, *limits_, *features_);
    sizes.memory = gpu.memory;
    sizes.activations_lower_bound = gpu.activations_lower_bound;
    if (!gpu.possible) sizes.refuse(gpu.possible.error());
  } else {
    sizes.memory = CpuRunner::plan(model_, context, kv, options_.scoring, options_.activations, options_.threads);
    sizes.memory.weights = WeightMemory(file_, model_.graph).bytes();
  }
  if (sizes.refusal.empty()) sizes.refusal = over_budget(sizes.memory.total(), context);
  return sizes;
}

std::string Preflight::over_budget(u64 total, u32 context) const {
  constexpr u64 room = u64(SIZE_MAX) / 8 * 7;  // of a 32-bit address space
  const std::string need =
      "with a context of " + std::to_string(context) + " tokens the model needs " + megabytes(total);
  if (options_.budget > 0 && total > options_.budget)
    return need + ", over the budget of " + megabytes(options_.budget);
  if (!limits_ && total > room) return need + ", which does not fit this machine's memory";
  return {};
}

u32 Preflight::largest(u32 trained, graph::KvTypes kv) const {
  if (fits(trained, kv)) return trained;
  u32 good = 0, bad = trained;  // good fits or is 0, bad does not fit
  while (bad - good > 1) {
    const u32 middle = good + (bad - good) / 2;
    (fits(middle, kv) ? good : bad) = middle;
  }
  return good;
}

std::string Preflight::what_would_fit(u32 context, u32 trained) const {
  using graph::KvType;
  const u32 most = largest(std::min(context, trained), options_.kv);
  std::string text =
      most > 0 ? "; " + std::to_string(most) + " tokens would fit" : "; no shorter context would fit either";
  for (const auto& [type, name] : {std::pair{KvType::q8, "8"}, std::pair{KvType::q4, "4"}}) {
    if (graph::kv_row_bytes(type, 64) >= graph::kv_row_bytes(options_.kv.k, 64) || !fits(context, type)) continue;
    return text + ", and all of it with a KV cache of " + name + " bits";
  }
  return text;
}

}  // namespace pronk::engine
