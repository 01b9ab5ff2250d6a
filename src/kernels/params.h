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

// In the structs of operations on rows: base and stride of an operand, in floats.
PRONK_STRUCT(NormParams,
  (u32, group),                            // columns
  (u32, weight_step), (u32, bias_step),    // from group to group
  (u32, padding),                          // columns of zeros behind the last
  (u32, x_base), (u32, x_stride), (u32, residual_base), (u32, residual_stride), (u32, y_base), (u32, y_stride),
  (float, eps), (float, scale)
);

// padded_width, here and below: columns written, zeros behind the first `width`.
PRONK_STRUCT(MapParams,
  (u32, width), (u32, padded_width),
  (u32, b_repeat),
  (u32, a_base), (u32, a_stride), (u32, b_base), (u32, b_stride), (u32, y_base), (u32, y_stride),
  (float, p0), (float, p1), (float, p2), (float, p3)
);

PRONK_STRUCT(PositionScaleParams,
  (u32, width), (u32, padded_width),
  (u32, x_base), (u32, x_stride), (u32, y_base), (u32, y_stride),
  (u32, interval),
  (float, scale)
);

PRONK_STRUCT(RopeParams,
  (u32, width), (u32, padded_width),
  (u32, head), (u32, first),
  (u32, x_base), (u32, x_stride), (u32, y_base), (u32, y_stride)
);

PRONK_STRUCT(ColumnsParams,
  (u32, groups), (u32, padded_width),
  (u32, group_a), (u32, first_a), (u32, width_a), (u32, width_b),
  (u32, a_base), (u32, a_stride), (u32, b_base), (u32, b_stride), (u32, y_base), (u32, y_stride)
);

PRONK_STRUCT(WeightedSumParams,
  (u32, width), (u32, padded_width), (u32, parts),
  (u32, x_base), (u32, x_stride), (u32, weights_base), (u32, weights_stride), (u32, y_base), (u32, y_stride)
);

PRONK_STRUCT(KeepLargestParams,
  (u32, width), (u32, padded_width),
  (u32, x_base), (u32, x_stride), (u32, y_base), (u32, y_stride),
  (float, deviations)
);

PRONK_STRUCT(RouteParams,
  (u32, used), (u32, groups_used),
  (u32, padding),  // of chosen and of weights
  (u32, logits_base), (u32, logits_stride),
  (u32, chosen_base), (u32, chosen_stride), (u32, weights_base), (u32, weights_stride),
  (float, scale)
);

PRONK_STRUCT(ExpertParams,
  (u32, slots), (u32, first_matrix), (u32, matrices),
  (u32, rows),                                              // of a matrix
  (u32, padding),                                           // columns of zeros behind the last slot's
  (u32, row_units),
  (u32, x_base), (u32, x_stride), (u32, x_slot),  // in fours; from slot to slot
  (u32, chosen_base), (u32, chosen_stride), (u32, y_base), (u32, y_stride),
  (u32, order_base),  // of what group_experts makes
  (u32, plane1), (u32, plane2), (u32, plane3)
);

PRONK_STRUCT(GroupParams,
  (u32, slots), (u32, chosen_base), (u32, chosen_stride),
  (u32, order_base), (u32, copy_base)
);

PRONK_STRUCT(Conv1dParams,
  (u32, width), (u32, padded_width),
  (u32, x_base), (u32, x_stride), (u32, y_base), (u32, y_stride)
);

PRONK_STRUCT(DeltaRuleParams,
  (u32, key_heads), (u32, value_heads), (u32, value), (u32, padding),
  (u32, q_base), (u32, q_stride), (u32, k_base), (u32, k_stride), (u32, v_base), (u32, v_stride),
  (u32, decay_base), (u32, decay_stride), (u32, beta_base), (u32, beta_stride), (u32, y_base), (u32, y_stride)
);

PRONK_STRUCT(ScanParams,
  (u32, heads), (u32, groups), (u32, width), (u32, padding),
  (u32, x_base), (u32, x_stride), (u32, dt_base), (u32, dt_stride), (u32, b_base), (u32, b_stride),
  (u32, c_base), (u32, c_stride), (u32, y_base), (u32, y_stride)
);

// Rows of heads, base and stride in fours.
PRONK_STRUCT(HeadsParams,
  (u32, base), (u32, stride),
  (u32, capacity)  // positions of the cache
);

PRONK_STRUCT(RotateParams,
  (u32, base), (u32, stride),  // of qkv, in fours
  (u32, q_heads), (u32, kv_heads),
  (u32, capacity),
  (float, eps)
);

PRONK_STRUCT(AttentionParams,
  (u32, heads),        // of queries
  (u32, group_heads),  // query heads a kv head
  (u32, q_base), (u32, q_stride), (u32, out_base), (u32, out_stride),  // in fours
  (u32, padding),                                                      // fours of zeros behind the last head
  (u32, capacity),
  (u32, window),
  (float, scale), (float, soft_cap)
);

PRONK_STRUCT(SampleParams,
  (u32, vocab), (u32, blocks), (u32, context),
  (u32, greedy), (u32, top_k), (u32, end_count),
  (u32, seed_low), (u32, seed_high),
  (float, inverse_temperature), (float, top_p), (float, log_min_p)
);

PRONK_STRUCT(AdjustParams,
  (u32, first_step),  // of the run: what it is fed is of the prompt
  (u32, masked),
  (float, repetition), (float, frequency), (float, presence)
);

// Of all products with one weight: MatMulKind.
PRONK_STRUCT(KindConstants, (bool, NORM), (bool, BIAS), (bool, ADD), (bool, GATE), (bool, GATED));

// Tile constants of a matvec, powers of two; LANES <= 2 TILE · TOKENS, which is the size of a workgroup.
PRONK_STRUCT(MatVecConstants, (u32, LANES), (u32, ROWS), (u32, TILE), (u32, TOKENS));

// Tile constants of a GEMM: TILE_T at most 64; TILE_K 16 or more, an eighth of TILE_N, of bytes and halves (gemm_tile_int8.wgsl,
// gemm_tile_f16.wgsl) a quarter.
PRONK_STRUCT(GemmConstants, (u32, TILE_T), (u32, TILE_N), (u32, TILE_K));

PRONK_STRUCT(GemmMatrixConstants, (u32, MATRIX), (u32, SUBGROUP), (u32, SUBGROUPS), (u32, SUBGROUPS_T));
PRONK_STRUCT(GemmSplitConstants, (u32, SPLITS));  // of k: more than one

// LANES: 4 or 8.
PRONK_STRUCT(GemmLanesConstants, (u32, TILE_T), (u32, TILE_N), (u32, LANES));

PRONK_STRUCT(MatVecLanesConstants, (u32, LANES));

PRONK_STRUCT(EmbedConstants, (u32, WORKGROUP), (bool, BY_POSITION));
PRONK_STRUCT(RowConstants, (u32, WORKGROUP));
PRONK_STRUCT(NormConstants, (u32, WORKGROUP), (bool, LAYER), (bool, WEIGHT), (bool, BIAS), (bool, ADD));
PRONK_STRUCT(MapConstants, (u32, WORKGROUP), (bool, TAKES_TWO));
PRONK_STRUCT(RopeConstants, (u32, WORKGROUP), (u32, ROTATED), (bool, ADJACENT));
PRONK_STRUCT(RouteConstants,
  (u32, WORKGROUP), (u32, EXPERTS), (u32, GROUPS),
  (bool, SOFTMAX), (bool, SIGMOID), (bool, SOFTMAX_AFTER), (bool, BIAS), (bool, EXPERT_SCALE), (bool, NORMALIZE),
  (bool, BY_BEST)
);
// The same, and ROWS <= LANES.
PRONK_STRUCT(ExpertConstants, (u32, LANES), (u32, ROWS), (u32, TILE), (bool, CHOSEN), (bool, BIAS));
PRONK_STRUCT(ExpertGemmConstants, (u32, TILE_T), (u32, TILE_N), (u32, TILE_K), (bool, CHOSEN), (bool, BIAS));
PRONK_STRUCT(GroupConstants, (u32, WORKGROUP), (u32, EXPERTS), (u32, TILE_T));
PRONK_STRUCT(Conv1dConstants, (u32, WORKGROUP), (u32, KERNEL), (bool, BIAS));
PRONK_STRUCT(DeltaRuleConstants, (u32, KEY), (u32, COLUMNS), (u32, LANES), (bool, NEIGHBOURS_SHARE));
PRONK_STRUCT(ScanConstants, (u32, STATE), (u32, LANES), (bool, A_OF_STATE));

// HADAMARD: numbers that are transformed together, 1 for none (graph/kv_type.h).
PRONK_STRUCT(StoreKvConstants, (u32, WORKGROUP), (u32, HADAMARD));
PRONK_STRUCT(HadamardConstants, (u32, WORKGROUP), (u32, WIDTH), (u32, HADAMARD));
PRONK_STRUCT(RotateConstants,
  (u32, HEAD_DIM), (u32, ROTATED), (u32, WORKGROUP), (u32, HADAMARD),
  (bool, ADJACENT), (bool, Q_NORM), (bool, K_NORM));
PRONK_STRUCT(AttentionConstants,
  (u32, THREADS), (u32, VALUE), (u32, GROUP_HEADS), (u32, VECTORS), (u32, HADAMARD),
  (bool, CAUSAL), (bool, SOFT_CAP), (bool, SINKS), (bool, IN_PLACE), (bool, PADDED));
// SCRATCH: vectors of workgroup memory, see attention_tile().
PRONK_STRUCT(AttentionDecodeConstants, (u32, SPLITS), (u32, LANES), (u32, TILE), (u32, SCRATCH));
PRONK_STRUCT(AttentionBroadcastConstants, (u32, TILE));
PRONK_STRUCT(CombineConstants, (u32, VALUE), (u32, SPLITS), (bool, PADDED));
// What a cache's fragment knows of its rows: FOURS, groups of four; BLOCK, those of them that share a scale.
PRONK_STRUCT(CacheConstants, (u32, FOURS), (u32, BLOCK));
// TILE: logits a workgroup takes; BLOCK: logits whose maximum is kept, powers of two.
PRONK_STRUCT(SampleConstants, (u32, WORKGROUP), (u32, TILE), (u32, BLOCK));

// clang-format on

}  // namespace pronk::kernels
