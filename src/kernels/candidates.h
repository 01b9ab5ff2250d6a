// What of a kernel can be chosen by measuring, as data: tables of tile constants. No kernel knows a device: its limits
// and features say which candidates it can run, and without a measurement the first of those is taken.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/enums.h"
#include "formats/format.h"
#include "gpu/device.h"
#include "graph/kv_type.h"

namespace pronk::kernels {

struct HeadShape;

// clang-format off: one value a line reads better than as a macro's arguments.
PRONK_ENUM(TunedKernel, u8,
  (matvec, 0),             // one token
  (matvec_batch, 1),       // a few
  (gemm, 2),               // many
  (attention_decode, 3),   // one token over the whole cache
  (attention_prefill, 4)   // a chunk
);
// clang-format on
constexpr u32 tuned_kernels = 5;

// See MatVecConstants. Many lanes for few rows are a split of k that makes workgroups of narrow matrices.
struct MatVecTile {
  u32 lanes = 0, rows = 0;
  u32 blocks = 0;          // of 32 activations in workgroup memory; 0: matvec_lanes.wgsl, or gemm_lanes below
  bool subgroups = false;  // sums over lanes by shuffles
  bool int8 = false;       // activations of 8 bits, sixteen to a scale, and integer dot products: never the default
  u32 gemm_lanes = 0;      // not 0: the GEMM of so many lanes in its place, and nothing else of this holds
};
// matvec_lanes.wgsl, of one token, for CPUs, whose subgroups have at least so many lanes. It has no blocks in memory.
constexpr MatVecTile matvec_of_lanes(u32 lanes) { return {lanes, 8, 0, true}; }
// Tokens and weight rows of a tile.
struct GemmTile {
  u32 tokens = 0, rows = 0;
  bool int8 = false;  // as a matvec's
  u32 lanes = 0;      // not 0: gemm_lanes.wgsl, for CPUs, whose subgroups have at least so many
  bool f16 = false;   // numbers and sums of 32 products are halves: never the default
  // Not 0: gemm_tile_matrix.wgsl, by matrices of so many rows and columns of subgroups of at most so many threads, with
  // numbers that are halves: never the default.
  u32 matrix = 0, subgroup = 0;
  // Workgroups of a tile, each with its part of k, for narrow outputs: gemm_combine.wgsl adds up what they leave in
  // memory of its own, gemm_partial_bytes(). Never the default.
  u32 splits = 1;

  u32 depth() const { return matrix > 0 ? 32 : int8 || f16 ? rows / 4 : rows / 8; }
};
constexpr u32 matrix_threads = 128;
constexpr GemmTile gemm_of_matrices(u32 matrix, u32 subgroup) { return {64, 64, false, 0, false, matrix, subgroup}; }
constexpr GemmTile split(GemmTile tile, u32 splits) {
  tile.splits = splits;
  return tile;
}
constexpr GemmTile gemm_of_lanes(u32 lanes) { return {32, 64, false, lanes}; }
constexpr GemmTile gemm_of_halves(u32 tokens) { return {tokens, 128, false, 0, true}; }
struct AttentionTile {
  u32 threads = 0;
  u32 vectors = 0;  // most queries of a workgroup
  // Only of decode:
  u32 splits = 1;          // of the visible positions; 0: as many as keep a GPU busy
  u32 lanes = 0;           // threads that share a key; 0 in prefill
  u32 positions = 0;       // taken at once: a multiple of threads / lanes
  bool subgroups = false;  // sums over lanes by shuffles
  // attention_broadcast.wgsl, for CPUs, of prefill as well: the threads are lanes of one subgroup.
  bool broadcasts = false;
};
constexpr AttentionTile attention_of_lanes(u32 lanes, u32 splits) { return {lanes, 16, splits, 1, 64, true, true}; }

// batch: tiles of the kernel for a few tokens.
std::span<const MatVecTile> matvec_tiles(bool batch);
std::span<const GemmTile> gemm_tiles();
// The GEMM that a candidate of any kernel is; nullopt: it is none.
std::optional<GemmTile> gemm_tile(TunedKernel kernel, u32 candidate);
// Whether a tile has room, within the limits that every device has, for the books of an additive format.
bool keeps_books(const formats::Format& format, const MatVecTile& tile, u32 tokens);
std::span<const AttentionTile> attention_tiles(bool decode);

u32 candidate_count(TunedKernel kernel);
// Its constants, such as "16x4x32+subgroups" or "64x128/4" of four splits: what files of measured choices call it.
std::string candidate_name(TunedKernel kernel, u32 candidate);
// What products with weights of a format can use of a device's features.
gpu::Features features_for(const formats::Format& format, gpu::Features features);
// Whether a device can run it, whatever the operation.
bool runs(TunedKernel kernel, u32 candidate, const gpu::Limits& limits, const gpu::Features& features);
// The first that needs no feature but these and keeps activations as they are. Those that need none are within the
// limits that every device has.
u32 default_candidate(TunedKernel kernel, gpu::Features features);

// What a choice is made for: a kernel, a format and a shape, of which the power of two below counts.
std::string tuning_key(TunedKernel kernel, const formats::Format& format, u32 rows, u32 cols);
std::string tuning_key(TunedKernel kernel, const HeadShape& heads, graph::KvTypes kv);

// Measured choices.
class Tuning {
 public:
  struct Choice {
    std::string key, candidate;  // as tuning_key() and candidate_name() write them
  };
  void choose(std::string key, std::string candidate);
  // For keys without a choice of their own that the device runs; a * in the key stands for any text. The first that
  // fits holds.
  void fall_back(std::string key, std::string candidate) {
    fallbacks_.push_back({std::move(key), std::move(candidate)});
  }
  std::span<const Choice> choices() const { return choices_; }
  // The candidate for a key, if there is a choice that fits, a candidate of that name, and the device runs it.
  std::optional<u32> find(TunedKernel kernel, std::string_view key, const gpu::Limits& limits,
                          const gpu::Features& features) const;

 private:
  std::vector<Choice> choices_, fallbacks_;
};

// All WGSL and all candidates in one number: with another, choices are worth nothing.
u64 kernels_hash();

}  // namespace pronk::kernels
