// The KV cache and attention over it.
#include <algorithm>

#include "kernels/launch_common.h"

namespace pronk::kernels {
namespace {

constexpr u32 head_workgroup = 32;  // of kernels that serve one head of one token
// Numbers of a key that are transformed together. Where values lie in the keys, no transform crosses their end.
u32 hadamard_size(graph::KvType type, u32 key, u32 value, bool values_in_keys) {
  const u32 size = graph::kv_hadamard_size(type, key);
  return values_in_keys ? std::min(size, value & -value) : size;
}

constexpr u32 attention_memory = 16384;  // that every device has
// Of 128 threads that leaves room for twelve subgroups on each of four SIMDs that share 128 KiB.
constexpr u32 prefill_memory = 10752;

u32 quads(u32 vectors) { return u32(ceil_div(vectors, 4)); }

// Vectors of workgroup memory in which threads of decode share what they have summed up.
u32 attention_scratch(const AttentionTile& tile) {
  const u32 parts = tile.subgroups ? std::max(tile.lanes / 4, 1u) : tile.lanes;
  return std::max(std::min(4u, tile.vectors) * tile.threads, tile.positions * parts * quads(tile.vectors));
}

// Queries; but for broadcasts in prefill, by four, three vectors a thread and eight for each four; in decode scratch,
// and in one place weights and a vector for each thread.
u32 attention_bytes(const HeadShape& heads, const AttentionTile& tile) {
  const u32 queries = tile.vectors * heads.key * u32(sizeof(float));
  if (tile.broadcasts) return queries;
  const u32 by_four = 4 * quads(tile.vectors) * heads.key * u32(sizeof(float));
  if (tile.lanes == 0) return by_four + 128 * quads(tile.vectors) + 48 * tile.threads;
  return by_four + 16 * (attention_scratch(tile) + std::max(tile.positions * quads(tile.vectors), tile.threads));
}

// Rows of one head after the other, transformed where HADAMARD > 1 and stored.
Launch store_rows(u32 heads, u32 width, graph::KvType type, u32 hadamard, u32 capacity, const Columns& x,
                  std::vector<Operand> operands) {
  HeadsParams p;
  p.base = x.base / 4;
  p.stride = x.stride / 4;
  p.capacity = capacity;
  return {Shader("store_kv")
              .params<HeadsParams>("HeadsParams")
              .constants(StoreKvConstants{.WORKGROUP = head_workgroup, .HADAMARD = hadamard})
              .cache("kv", "store", type, width)
              .add("hadamard", "ARRAY", "results")
              .add("store_kv")
              .finish({uniform, uniform, read, write}),
          bytes_of(p),
          std::move(operands),
          nullptr,
          {heads},
          {Scale::Axis::y}};
}

// The values that attention made of transformed rows, transformed back, which is the same once more.
Launch transform_rows(u32 heads, u32 width, u32 hadamard, const Columns& x, Operand state, Operand rows) {
  HeadsParams p;
  p.base = x.base / 4;
  p.stride = x.stride / 4;
  return {Shader("hadamard_rows")
              .params<HeadsParams>("HeadsParams")
              .constants(HadamardConstants{.WORKGROUP = head_workgroup, .WIDTH = width, .HADAMARD = hadamard})
              .add("hadamard", "ARRAY", "results")
              .add("hadamard_rows")
              .finish({uniform, uniform, write}),
          bytes_of(p),
          {state, rows},
          nullptr,
          {heads},
          {Scale::Axis::y}};
}

gpu::PipelineDesc attention(const Attention& a, bool in_place) {
  const HeadShape& h = a.heads;
  const u32 hadamard = a.rotated ? 1 : hadamard_size(a.kv.k, h.key, h.value, h.values_in_keys);
  const AttentionConstants constants{.THREADS = a.tile.threads,
                                     .VALUE = h.value,
                                     .GROUP_HEADS = h.query / h.kv,
                                     .VECTORS = a.tile.vectors,
                                     .HADAMARD = hadamard,
                                     .CAUSAL = a.causal,
                                     .SOFT_CAP = a.soft_cap != 0,
                                     .SINKS = a.sinks,
                                     .IN_PLACE = in_place,
                                     .PADDED = a.out.padding > 0};
  const bool decode = a.tile.lanes > 0 && !a.tile.broadcasts;
  CHECK(a.tile.lanes > 0 ? a.tile.positions * a.tile.lanes % a.tile.threads == 0 : a.tile.splits == 1);
  const char* kernel = a.tile.broadcasts ? "attention_broadcast" : decode ? "attention_decode" : "attention";
  Shader shader(kernel);
  if (a.tile.subgroups) shader.enable("subgroups");
  if (a.tile.broadcasts) shader.constants(AttentionBroadcastConstants{.TILE = a.tile.positions});
  if (decode) {
    shader.constants(AttentionDecodeConstants{.SPLITS = a.tile.splits,
                                              .LANES = a.tile.lanes,
                                              .TILE = a.tile.positions,
                                              .SCRATCH = attention_scratch(a.tile)});
  }
  shader.params<AttentionParams>("AttentionParams")
      .constants(constants)
      .cache("k", "load", a.kv.k, h.key)
      .cache("v", "load", h.values_in_keys ? a.kv.k : a.kv.v, h.values_in_keys ? h.key : h.value)
      .add("functions")
      .add("hadamard", "ARRAY", "q_tile")
      .add("attention_common");
  shader.add(a.tile.broadcasts ? "attention_query_rows" : "attention_queries").add(kernel);
  if (decode) shader.with(a.tile.subgroups ? "attention_subgroup" : "attention_lanes");
  return shader.finish({uniform, uniform, read, read, read, read, write, write});
}

Launch combine(const Attention& a, const std::vector<u8>& params, const AttentionOperands& o) {
  return {Shader("combine")
              .params<AttentionParams>("AttentionParams")
              .constants(CombineConstants{.VALUE = a.heads.value, .SPLITS = a.tile.splits, .PADDED = a.out.padding > 0})
              .add("combine")
              .finish({uniform, uniform, read, write}),
          params,
          {o.state, o.partial, o.out},
          nullptr,
          {a.heads.query},
          {}};
}

}  // namespace

AttentionTile attention_tile(const HeadShape& heads, u32 tokens, bool decode, u32 candidate) {
  AttentionTile tile = attention_tiles(decode)[candidate];
  const u32 queries = heads.query / heads.kv * tokens, fewest = decode ? tile.threads / tile.lanes : 0;
  while (tile.vectors / 2 >= queries && !tile.broadcasts) tile.vectors /= 2;
  const auto fits = [&] { return attention_bytes(heads, tile) <= attention_memory; };
  while (!fits() && tile.positions > fewest && !tile.broadcasts) tile.positions /= 2;
  while (tile.lanes == 0 && tile.vectors > 8 && attention_bytes(heads, tile) > prefill_memory) tile.vectors /= 2;
  while (!fits() && tile.vectors > 1) tile.vectors /= 2;
  const u32 groups = heads.kv * u32(ceil_div(heads.query / heads.kv, tile.vectors));
  if (tile.splits > 0) return tile;
  tile.splits = 4;
  while (tile.splits * groups < 128 && tile.splits < 32) tile.splits *= 2;
  return tile;
}

AttentionTile attention_tile(const HeadShape& heads, u32 tokens, bool decode, gpu::Features features) {
  const auto kernel = decode ? TunedKernel::attention_decode : TunedKernel::attention_prefill;
  return attention_tile(heads, tokens, decode, default_candidate(kernel, features));
}

u64 attention_partial_bytes(const HeadShape& heads, u32 splits) {
  return u64(heads.query) * splits * (heads.value + 4) * sizeof(float);
}

std::vector<Launch> lower(const StoreKv& s, const StoreKvOperands& o) {
  CHECK(s.key % 4 == 0 && s.value % 4 == 0 && s.key <= most_head_width && s.value <= most_head_width);
  const u32 hadamard = hadamard_size(s.kv.k, s.key, s.value, s.values_in_keys);
  std::vector<Launch> launches{
      store_rows(s.heads, s.key, s.kv.k, hadamard, s.capacity, s.k, {o.state, o.k, o.k_cache})};
  if (!s.values_in_keys)
    launches.push_back(store_rows(s.heads, s.value, s.kv.v, 1, s.capacity, s.v, {o.state, o.v, o.v_cache}));
  return launches;
}

Launch lower(const RotateStore& r, const RotateOperands& o) {
  CHECK(r.head % 4 == 0 && r.head <= most_head_width);
  RotateParams p;
  p.base = r.qkv.base / 4;
  p.stride = r.qkv.stride / 4;
  p.q_heads = r.query_heads;
  p.kv_heads = r.kv_heads;
  p.capacity = r.capacity;
  p.eps = r.eps;
  const RotateConstants constants{.HEAD_DIM = r.head,
                                  .ROTATED = r.rotated,
                                  .WORKGROUP = head_workgroup,
                                  .HADAMARD = graph::kv_hadamard_size(r.kv.k, r.head),
                                  .ADJACENT = r.pairs == graph::RopePairs::adjacent,
                                  .Q_NORM = r.q_norm,
                                  .K_NORM = r.k_norm};
  return {Shader("rotate_store")
              .params<RotateParams>("RotateParams")
              .constants(constants)
              .cache("k", "store", r.kv.k, r.head)
              .cache("v", "store", r.kv.v, r.head)
              .add("rope_angle")
              .add("hadamard", "ARRAY", "results")
              .add("rotate_store")
              .finish({uniform, uniform, read, read, read, write, write, write}),
          bytes_of(p),
          {o.state, o.rope_table, o.q_norm, o.k_norm, o.qkv, o.k_cache, o.v_cache},
          nullptr,
          {r.query_heads + 2 * r.kv_heads},
          {Scale::Axis::y}};
}

std::vector<Launch> lower(const Attention& a, const AttentionOperands& o) {
  const HeadShape& h = a.heads;
  const bool in_place = o.q == o.out;
  CHECK(h.kv > 0 && h.query % h.kv == 0 && h.key % 4 == 0 && h.value % 4 == 0);
  CHECK(h.key <= most_head_width && h.value <= most_head_width && (!h.values_in_keys || h.value <= h.key));
  CHECK(!in_place || (h.key == h.value && a.q.base == a.out.base && a.q.stride == a.out.stride));
  CHECK((a.causal || a.tile.splits == 1) && a.out.padding % 4 == 0);
  AttentionParams p;
  p.heads = h.query;
  p.group_heads = h.query / h.kv;
  p.q_base = a.q.base / 4, p.q_stride = a.q.stride / 4;
  p.out_base = a.out.base / 4, p.out_stride = a.out.stride / 4;
  p.padding = a.out.padding / 4;
  p.capacity = a.capacity;
  p.window = a.window == 0 ? ~0u : a.window;
  p.scale = a.scale;
  p.soft_cap = a.soft_cap;
  std::vector<Launch> launches{{attention(a, in_place),
                                bytes_of(p),
                                {o.state, o.k_cache, o.v_cache, in_place ? o.k_cache : o.q, o.sinks, o.partial, o.out},
                                nullptr,
                                {a.tile.splits, h.kv, u32(ceil_div(p.group_heads, a.tile.vectors))},
                                {Scale::Axis::z, p.group_heads, a.tile.vectors}}};
  if (a.tile.splits > 1) launches.push_back(combine(a, bytes_of(p), o));
  const u32 hadamard = hadamard_size(a.kv.k, h.key, h.value, h.values_in_keys);
  if (h.values_in_keys && hadamard > 1)
    launches.push_back(transform_rows(h.query, h.value, hadamard, a.out, o.state, o.out));
  return launches;
}

}  // namespace pronk::kernels
