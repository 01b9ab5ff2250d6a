#include "kernels/candidates.h"

#include <algorithm>
#include <bit>

#include "formats/additive.h"
#include "kernels/embedded.h"
#include "kernels/kernels.h"
#include "kernels/shader.h"

namespace pronk::kernels {
namespace {

// Lanes are no more than blocks: others would have nothing to do.
constexpr MatVecTile one_token[] = {
    {16, 4, 32, true},        {16, 4, 32, false},      {8, 4, 32, true},         {8, 8, 32, true},
    {16, 2, 32, true},        {16, 8, 32, true},       {32, 1, 32, true},        {32, 2, 32, true},
    {32, 4, 32, true},        {16, 4, 64, true},       {32, 4, 64, true},        {64, 1, 64, true},
    {64, 4, 64, true},        {8, 4, 32, false},       {16, 2, 32, false},       {32, 1, 32, false},
    {32, 2, 32, false},       {16, 4, 64, false},      {32, 4, 64, false},       {64, 1, 64, false},
    {8, 8, 32, false},        {8, 8, 32, true, true},  {8, 8, 32, false, true},  {16, 4, 32, true, true},
    {16, 4, 32, false, true}, {32, 2, 32, true, true}, {32, 2, 32, false, true}, matvec_of_lanes(8),
    matvec_of_lanes(4),
};
constexpr MatVecTile few_tokens[] = {
    {8, 2, 8, true},       {8, 2, 8, false},       {8, 4, 8, true},       {4, 2, 8, true},
    {4, 4, 8, true},       {16, 1, 16, true},      {8, 4, 8, false},      {4, 2, 8, false},
    {4, 4, 8, false},      {16, 1, 16, false},     {8, 2, 8, true, true}, {8, 2, 8, false, true},
    {8, 4, 8, true, true}, {8, 4, 8, false, true}, {.gemm_lanes = 8},     {.gemm_lanes = 4},
};
constexpr GemmTile many_tokens[] = {{64, 128},
                                    {32, 128},
                                    {16, 128},
                                    {32, 256},
                                    {64, 256},
                                    {64, 128, true},
                                    {32, 128, true},
                                    {64, 256, true},
                                    gemm_of_lanes(8),
                                    gemm_of_lanes(4),
                                    gemm_of_halves(64),
                                    gemm_of_halves(32),
                                    gemm_of_matrices(8, 32),
                                    gemm_of_matrices(16, 32),
                                    gemm_of_matrices(16, 64),
                                    split({64, 128}, 4),
                                    split({64, 128}, 8),
                                    split({64, 128, true}, 4),
                                    split(gemm_of_halves(64), 4),
                                    split(gemm_of_halves(64), 8),
                                    split(gemm_of_matrices(8, 32), 4),
                                    split(gemm_of_matrices(16, 32), 4),
                                    split(gemm_of_matrices(16, 64), 4)};
constexpr AttentionTile decode[] = {
    {64, 8, 0, 4, 64},        {64, 8, 0, 8, 64, true},  {64, 8, 0, 8, 64},        {64, 8, 0, 4, 64, true},
    {64, 8, 0, 16, 64, true}, {64, 8, 0, 16, 32},       {64, 8, 0, 8, 32},        {64, 8, 0, 2, 64},
    {32, 8, 0, 4, 64},        {32, 8, 0, 8, 64, true},  {128, 8, 0, 8, 64, true}, {128, 8, 0, 4, 64},
    {64, 4, 0, 4, 64},        {64, 4, 0, 8, 64, true},  {64, 8, 4, 4, 64},        {64, 8, 16, 4, 64},
    {64, 8, 64, 4, 64},       {64, 8, 16, 8, 64, true}, {64, 8, 64, 8, 64, true}, {64, 2, 16, 8, 64},
    attention_of_lanes(8, 4), attention_of_lanes(4, 4),
};
constexpr AttentionTile prefill[] = {
    {128, 16}, {64, 16}, {64, 8}, {64, 4}, {128, 8}, {32, 8}, attention_of_lanes(8, 1), attention_of_lanes(4, 1)};

const MatVecTile& matvec_tile(TunedKernel kernel, u32 candidate) {
  return matvec_tiles(kernel == TunedKernel::matvec_batch)[candidate];
}

bool is_matvec(TunedKernel kernel) { return kernel == TunedKernel::matvec || kernel == TunedKernel::matvec_batch; }

// With a gate and a code book.
u32 matvec_memory(const MatVecTile& tile, u32 tokens) {
  const u32 block_bytes = (tile.int8 ? 3 : 9) * 16, code_book_bytes = tile.int8 ? 1024 : 64;
  const u32 threads = 2 * tile.blocks * tokens, sums = 2 * tile.rows * tokens;
  return tile.blocks * tokens * block_bytes + (sums + 1) * threads * u32(sizeof(float)) + code_book_bytes;
}

u32 gemm_threads(const GemmTile& tile) {
  if (tile.matrix > 0) return matrix_threads;
  return tile.lanes > 0 ? tile.rows / 2 : tile.tokens * tile.rows / 64;
}
// With a code book; of bytes sixteen have a scale, with a sum or an offset.
u32 gemm_memory(const GemmTile& tile) {
  if (tile.lanes > 0) return 64;
  if (tile.matrix > 0) {
    return (tile.tokens + tile.rows) * (tile.depth() + 8) * 2 +
           (6 * tile.tokens + tile.matrix * tile.rows) * u32(sizeof(float)) + 64;
  }
  const u32 numbers = (tile.tokens + tile.rows) * tile.depth(), scales = tile.tokens * u32(sizeof(float));
  if (tile.f16) return (tile.tokens + tile.rows / 8 * 9) * tile.depth() * 2 + 6 * scales + 64;
  const u32 squares = gemm_threads(tile) * u32(sizeof(float));
  return scales + squares + (tile.int8 ? numbers + numbers / 16 * 8 + 1024 : numbers * 4 + 64);
}

u32 threads_of(TunedKernel kernel, u32 candidate) {
  if (const auto tile = gemm_tile(kernel, candidate)) return gemm_threads(*tile);
  if (kernel == TunedKernel::matvec) {
    const MatVecTile& tile = one_token[candidate];
    return tile.blocks > 0 ? 2 * tile.blocks : tile.lanes;
  }
  if (kernel == TunedKernel::matvec_batch) return 2 * few_tokens[candidate].blocks * batch_tokens;
  return attention_tiles(kernel == TunedKernel::attention_decode)[candidate].threads;
}

// Of attention none: its queries are as many as fit the limits that every device has.
u32 memory_of(TunedKernel kernel, u32 candidate) {
  if (const auto tile = gemm_tile(kernel, candidate)) return gemm_memory(*tile);
  if (!is_matvec(kernel)) return 0;
  return matvec_memory(matvec_tile(kernel, candidate), kernel == TunedKernel::matvec ? 1 : batch_tokens);
}

bool has_features(TunedKernel kernel, u32 candidate, const gpu::Features& features) {
  if (const auto tile = gemm_tile(kernel, candidate)) {
    return (!tile->int8 || features.integer_dot_product) && (!tile->f16 || features.shader_f16) &&
           (tile->matrix == 0 || (features.shader_f16 && features.subgroup_matrix == tile->matrix &&
                                  features.subgroup_max_size <= tile->subgroup)) &&
           (tile->lanes == 0 || (features.subgroups && features.subgroup_min_size >= tile->lanes));
  }
  if (!is_matvec(kernel)) {
    const AttentionTile& tile = attention_tiles(kernel == TunedKernel::attention_decode)[candidate];
    return (!tile.subgroups || features.subgroups) && (!tile.broadcasts || features.subgroup_min_size >= tile.threads);
  }
  const MatVecTile& tile = matvec_tile(kernel, candidate);
  return (!tile.subgroups || features.subgroups) && (!tile.int8 || features.integer_dot_product) &&
         (tile.blocks > 0 || features.subgroup_min_size >= tile.lanes);
}

std::string joined(std::initializer_list<u32> numbers) {
  std::string text;
  for (u32 number : numbers) text += (text.empty() ? "" : "x") + std::to_string(number);
  return text;
}

bool fits(std::string_view pattern, std::string_view key) {
  const std::size_t star = pattern.find('*');
  if (star == pattern.npos) return pattern == key;
  if (!key.starts_with(pattern.substr(0, star))) return false;
  for (std::size_t end = star; end <= key.size(); ++end) {
    if (fits(pattern.substr(star + 1), key.substr(end))) return true;
  }
  return false;
}

std::string key_of(TunedKernel kernel, const std::string& rest) {
  std::string key;
  each_enumerator(kernel, [&](const char* name, TunedKernel each) {
    if (each == kernel) key = name;
  });
  return key + " " + rest;
}

}  // namespace

std::optional<GemmTile> gemm_tile(TunedKernel kernel, u32 candidate) {
  if (kernel == TunedKernel::gemm) return many_tokens[candidate];
  if (!is_matvec(kernel) || matvec_tile(kernel, candidate).gemm_lanes == 0) return std::nullopt;
  return gemm_of_lanes(matvec_tile(kernel, candidate).gemm_lanes);
}

std::span<const MatVecTile> matvec_tiles(bool batch) {
  return batch ? std::span<const MatVecTile>(few_tokens) : std::span<const MatVecTile>(one_token);
}
std::span<const GemmTile> gemm_tiles() { return many_tokens; }

bool keeps_books(const formats::Format& format, const MatVecTile& tile, u32 tokens) {
  if (!formats::is_additive(format) || formats::additive_code_bits(format) != 8) return false;
  const u32 book_bytes = formats::additive_books(format) * 256 * format.block_weights * u32(sizeof(u16));
  return matvec_memory(tile, tokens) + book_bytes <= gpu::Limits{}.max_compute_workgroup_storage_size;
}

std::span<const AttentionTile> attention_tiles(bool decoding) {
  return decoding ? std::span<const AttentionTile>(decode) : std::span<const AttentionTile>(prefill);
}

u32 candidate_count(TunedKernel kernel) {
  constexpr std::size_t counts[] = {std::size(one_token), std::size(few_tokens), std::size(many_tokens),
                                    std::size(decode), std::size(prefill)};
  return u32(counts[u32(kernel)]);
}

std::string candidate_name(TunedKernel kernel, u32 candidate) {
  if (const auto tile = gemm_tile(kernel, candidate)) {
    if (tile->lanes > 0) return joined({tile->tokens, tile->rows, tile->lanes}) + "+subgroups";
    const std::string splits = tile->splits > 1 ? "/" + std::to_string(tile->splits) : "";
    if (tile->matrix > 0)
      return joined({tile->tokens, tile->rows, tile->matrix, tile->subgroup}) + splits + "+matrices";
    return joined({tile->tokens, tile->rows}) + splits + (tile->int8 ? "+int8" : "") + (tile->f16 ? "+f16" : "");
  }
  if (is_matvec(kernel)) {
    const MatVecTile& tile = matvec_tile(kernel, candidate);
    return (tile.blocks > 0 ? joined({tile.lanes, tile.rows, tile.blocks}) : joined({tile.lanes, tile.rows})) +
           (tile.subgroups ? "+subgroups" : "") + (tile.int8 ? "+int8" : "");
  }
  const AttentionTile& tile = attention_tiles(kernel == TunedKernel::attention_decode)[candidate];
  return (kernel == TunedKernel::attention_prefill
              ? joined({tile.threads, tile.vectors})
              : joined({tile.threads, tile.vectors, tile.splits, tile.lanes, tile.positions})) +
         (tile.subgroups ? "+subgroups" : "");
}

gpu::Features features_for(const formats::Format& format, gpu::Features features) {
  features.integer_dot_product = features.integer_dot_product && has_bytes(format);
  return features;
}

bool runs(TunedKernel kernel, u32 candidate, const gpu::Limits& limits, const gpu::Features& features) {
  const u32 threads = threads_of(kernel, candidate);
  return has_features(kernel, candidate, features) && threads <= limits.max_compute_invocations_per_workgroup &&
         threads <= limits.max_compute_workgroup_size_x &&
         memory_of(kernel, candidate) <= limits.max_compute_workgroup_storage_size;
}

u32 default_candidate(TunedKernel kernel, gpu::Features features) {
  features.integer_dot_product = features.shader_f16 = false;
  u32 candidate = 0;
  while (!has_features(kernel, candidate, features)) ++candidate;
  return candidate;
}

std::string tuning_key(TunedKernel kernel, const formats::Format& format, u32 rows, u32 cols) {
  return key_of(kernel, std::string(format.name) + " " + joined({std::bit_floor(rows), std::bit_floor(cols)}));
}

std::string tuning_key(TunedKernel kernel, const HeadShape& heads, graph::KvTypes kv) {
  constexpr const char* names[] = {"f32", "f16", "q8", "q4"};
  const std::string types = std::string(names[u32(kv.k)]) + (kv.k == kv.v ? "" : std::string("/") + names[u32(kv.v)]);
  return key_of(kernel, types + " " + joined({heads.query, heads.kv, heads.key, heads.value}));
}

void Tuning::choose(std::string key, std::string candidate) {
  for (Choice& choice : choices_) {
    if (choice.key != key) continue;
    choice.candidate = std::move(candidate);
    return;
  }
  choices_.push_back({std::move(key), std::move(candidate)});
}

std::optional<u32> Tuning::find(TunedKernel kernel, std::string_view key, const gpu::Limits& limits,
                                const gpu::Features& features) const {
  for (const std::vector<Choice>* choices : {&choices_, &fallbacks_}) {
    for (const Choice& choice : *choices) {
      if (!fits(choice.key, key)) continue;
      for (u32 i = 0; i < candidate_count(kernel); ++i) {
        if (candidate_name(kernel, i) == choice.candidate && runs(kernel, i, limits, features)) return i;
      }
    }
  }
  return std::nullopt;
}

u64 kernels_hash() {
  u64 hash = 0xcbf29ce484222325;  // FNV-1a
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ u8(c)) * 0x100000001b3;
  };
  for (const std::string_view source : wgsl_sources()) add(source);
  for (u32 kernel = 0; kernel < tuned_kernels; ++kernel) {
    for (u32 i = 0; i < candidate_count(TunedKernel(kernel)); ++i) add(candidate_name(TunedKernel(kernel), i) + ",");
  }
  return hash;
}

}  // namespace pronk::kernels
