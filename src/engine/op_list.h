// Which operation tests there are: operation × format × shape × variant.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "engine/op_case.h"

namespace pronk::engine {

constexpr graph::KvType kv_types[] = {graph::KvType::f32, graph::KvType::f16, graph::KvType::q8, graph::KvType::q4};
// Of the kernels of MatMulKernel, in their order.
constexpr std::string_view matmul_names[] = {"matvec", "matvec-batch", "gemm"};

// What is wanted of them; empty: all.
struct OpChoice {
  std::string_view op;
  const formats::Format* format = nullptr;  // only with such weights, or such a KV cache
  std::optional<graph::KvType> kv = {};
  std::string_view candidate = {};  // only that candidate of the tuner's
  bool quick = false;               // fewer shapes and variants

  bool wants(std::string_view an_op) const { return op.empty() || op == an_op; }
  bool wants(kernels::TunedKernel kernel, u32 i) const;
  bool all_formats() const { return !format && !kv; }
  bool wants(const formats::Format& f) const { return all_formats() || format == &f; }
  bool wants(graph::KvTypes types) const { return all_formats() || kv == types.k || kv == types.v; }
};

// Keys and values equally wide.
kernels::HeadShape heads_of(u32 group, u32 kv, u32 width);

// Calls visit with what makes a case, for each that the device runs, until it gives an error.
using VisitOp = std::function<Status(const std::function<OpCase()>& make)>;
Status each_op(const OpChoice& choice, const gpu::Device& device, const VisitOp& visit);

}  // namespace pronk::engine
