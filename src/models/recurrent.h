// Layers that mix tokens by a state of fixed size instead of attention.
#pragma once

#include <array>

#include "models/build.h"

namespace pronk::models {

// All take n [tokens, width] and make [tokens, width].

// Short convolution between two gates (LFM2, arXiv 2511.23404): shortconv.*
ValueId short_convolution(Layer& layer, ValueId n);

// Selective state space with a matrix of its own decay for each column (Mamba, arXiv 2312.00752): ssm_*
ValueId mamba(Layer& layer, ValueId n);

// The same by heads, each with one decay (Mamba 2, arXiv 2405.21060): ssm_*
ValueId mamba2(Layer& layer, ValueId n);
// The same with factors of what ssm_in makes: z, x, b, c and dt.
using Mamba2Factors = std::array<double, 5>;
ValueId scaled_mamba2(Layer& layer, ValueId n, const Mamba2Factors& factors);

// Gated delta net (arXiv 2412.06464): attn_qkv, attn_gate, ssm_*
ValueId gated_delta_net(Layer& layer, ValueId n);

}  // namespace pronk::models
