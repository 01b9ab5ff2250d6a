// The structs that host and kernels share. WGSL text is generated from these declarations (kernels.cpp); all fields are
// four bytes, so the layout is the same on both sides. A unit "in fours" is a group of four floats.
#pragma once

#include "base/fields.h"
#include "base/types.h"

namespace pronk::kernels {

// clang-format off: one field a line reads better than as a macro's arguments.

// The state of a run: kernels read it, and sample_pick advances it to the next step.
PRONK_STRUCT(StepState,
  (u32, position),   // of the step's first token
  (u32, rows),       // tokens in the step
  (u32, finished),   // not 0: the step is a no-op
  (u32, step),       // tokens sampled so far
  (u32, remaining)   // tokens still to sample
);

PRONK_STRUCT(MatMulParams,
  (u32, rows),         // output columns n of this part of the weight
  (u32, padded_rows),  // columns written: `rows` results, then zeros
  (u32, row_units),    // groups of eight weights in a weight row
  (u32, x_base),       // in fours, of row 0
  (u32, x_stride),     // in fours
  (u32, y_base),       // in floats
  (u32, y_stride),     // in floats
  (u32, bias_base),
  (u32, grid_x),       // of a matvec
  (u32, plane1), (u32, plane2), (u32, plane3),  // where the weight's planes start, in words
  (float, width),      // of x, for the mean of squares
  (float, eps)
);

PRONK_STRUCT(EmbedParams,
  (u32, first_row), (u32, rows),  // of the table in this part
  (u32, row_units),
  (u32, y_stride),                // in fours
  (u32, plane1), (u32, plane2), (u32, plane3)
);

PRONK_STRUCT(RotateParams,
  (u32, stride),  // of a row of qkv, in fours
  (u32, q_heads), (u32, kv_heads),
  (u32, context),
  (float, eps)
);

PRONK_STRUCT(AttentionParams,
  (u32, group_heads),  // query heads a kv head
  (u32, stride),       // of a row of q, in fours
  (u32, context),
  (float, scale)
);

PRONK_STRUCT(SampleParams,
  (u32, vocab), (u32, blocks), (u32, context),
  (u32, greedy), (u32, top_k), (u32, end_count),
  (u32, seed_low), (u32, seed_high),
  (float, inverse_temperature), (float, top_p), (float, log_min_p)
);

// Tile constants of a matvec; LANES and WORKGROUP are powers of two, ROWS · TOKENS <= LANES.
PRONK_STRUCT(MatVecConstants,
  (u32, LANES), (u32, ROWS), (u32, WORKGROUP), (u32, TOKENS),
  (bool, NORM), (bool, BIAS), (bool, ADD), (bool, GATE), (bool, SWIGLU)
);

// Tile constants of a GEMM: TILE_T and TILE_N multiples of 4 (8 with SWIGLU), TILE_K of 8.
PRONK_STRUCT(GemmConstants,
  (u32, TILE_T), (u32, TILE_N), (u32, TILE_K),
  (bool, NORM), (bool, BIAS), (bool, ADD), (bool, GATE), (bool, SWIGLU)
);

PRONK_STRUCT(EmbedConstants, (u32, WORKGROUP));

// KV_BLOCK: fours that share a scale in a quantized cache; HADAMARD: numbers of q and k that
// are transformed together, 1 for none (graph/kv_type.h).
PRONK_STRUCT(RotateConstants,
  (u32, HEAD_DIM), (u32, ROTATED), (u32, WORKGROUP), (u32, KV_BLOCK), (u32, HADAMARD),
  (bool, ADJACENT), (bool, Q_NORM), (bool, K_NORM));
PRONK_STRUCT(AttentionConstants, (u32, HEAD_DIM), (u32, KV_BLOCK), (u32, VECTORS), (u32, SPLITS));
PRONK_STRUCT(CombineConstants, (u32, HEAD_DIM), (u32, SPLITS));
// TILE: logits a workgroup takes; BLOCK: logits whose maximum is kept, powers of two.
PRONK_STRUCT(SampleConstants, (u32, WORKGROUP), (u32, TILE), (u32, BLOCK));

// clang-format on

}  // namespace pronk::kernels
