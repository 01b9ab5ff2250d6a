// What loading a model would take on one device, and whether it can be: the figures behind Model::plan().
#pragma once

#include <string>

#include "files/gguf.h"
#include "gpu/device.h"
#include "models/model.h"
#include "pronk/pronk.h"

namespace pronk::engine {

// Plans a model of `file` for one device, or for the CPU where limits are null. All that it is given must outlive it.
class Preflight {
 public:
  Preflight(const files::Gguf& file, const models::Model& model, const LoadOptions& options, const gpu::Limits* limits,
            const gpu::Features* features)
      : file_(file), model_(model), options_(options), limits_(limits), features_(features) {}

  // search: also finds the largest context that fits, which takes some twenty plans. What it lets through, loading does
  // not refuse.
  Result<Plan> run(bool search) const;

  // What the plan takes by kind, and what takes less: for a device that refused it.
  std::string figures_and_less(const Plan& plan) const;

 private:
  struct Sizes {
    MemoryUse memory = {};
    u64 activations_lower_bound = 0;
    std::string refusal;
    ErrorCode refusal_code = ErrorCode::out_of_memory;

    void refuse(const Error& why) {
      refusal = why.message;
      if (why.code != ErrorCode::unspecified) refusal_code = why.code;
    }
  };

  Sizes at(u32 context, graph::KvTypes kv) const;
  std::string over_budget(u64 total, u32 context) const;
  bool fits(u32 context, graph::KvTypes kv) const { return at(context, kv).refusal.empty(); }
  u32 largest(u32 trained, graph::KvTypes kv) const;
  std::string what_would_fit(u32 context, u32 trained) const;

  const files::Gguf& file_;
  const models::Model& model_;
  const LoadOptions& options_;
  const gpu::Limits* limits_;
  const gpu::Features* features_;
};

}  // namespace pronk::engine
