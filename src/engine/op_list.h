// Which operation tests there are: operation × format × shape × variant.
#pragma once

#include <functional>
#include <string_view>

#include "engine/op_case.h"

namespace pronk::engine {

// The name that the command line has for a type of the KV cache.
std::string_view kv_option_name(graph::KvType type);
constexpr graph::KvType kv_types[] = {graph::KvType::f32, graph::KvType::f16, graph::KvType::q8, graph::KvType::q4};
// Of the kernels of MatMulKernel, in their order.
constexpr std::string_view matmul_names[] = {"matvec", "matvec-batch", "gemm"};

// What is wanted of them; empty: all.
struct OpChoice {
  std::string_view op, format;
  std::string_view candidate;  // only that candidate of the tuner's
  bool quick = false;          // fewer shapes and variants

  bool wants(std::string_view an_op) const { return op.empty() || op == an_op; }
  bool wants(kernels::TunedKernel kernel, u32 i) const;
  bool wants(const formats::Format& f) const { return format.empty() || format == f.name; }
  bool wants(graph::KvTypes kv) const {
    return format.empty() || format == kv_option_name(kv.k) || format == kv_option_name(kv.v);
  }
};

// Keys and values equally wide.
kernels::HeadShape heads_of(u32 group, u32 kv, u32 width);

// Calls visit with what makes a case, for each that the device runs, until it gives an error.
using VisitOp = std::function<Status(const std::function<OpCase()>& make)>;
Status each_op(const OpChoice& choice, const gpu::Device& device, const VisitOp& visit);

}  // namespace pronk::engine
