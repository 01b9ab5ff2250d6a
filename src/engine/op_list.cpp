#include "engine/op_list.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace pronk::engine {

namespace {

using graph::Epilogue;
using graph::KvType;
using kernels::HeadShape;

constexpr kernels::MatMulKind matmul_kinds[] = {
    {nullptr, false, false, Epilogue::none}, {nullptr, true, false, Epilogue::gated},
    {nullptr, true, true, Epilogue::none},   {nullptr, false, true, Epilogue::add},
    {nullptr, true, false, Epilogue::gate},  {nullptr, true, false, Epilogue::none},
    {nullptr, false, false, Epilogue::add},
};

// The first plain one, and the first with blocks.
bool is_example(const formats::Format& format) {
  const auto all = formats::table();
  return &format == all.data() ||
         &format == &*std::find_if(all.begin(), all.end(), [](const auto& f) { return f.block_weights > 1; });
}

// All kinds for a plain format, one with blocks, and one asked for; three for the others, which differ in how weights
// are decoded alone; two when it has to be quick.
bool wants_kind(const OpChoice& choice, const formats::Format& format, u32 kind) {
  if (choice.quick) return kind < 2;
  if (is_example(format) || choice.format) return true;
  return kind < 2 || kind == 2 + u32(&format - formats::table().data()) % (std::size(matmul_kinds) - 2);
}

// Ragged, and up to 16384 wide.
struct MatMulShape {
  u32 rows, cols;
};
std::vector<MatMulShape> matmul_shapes(const formats::Format& format, bool quick) {
  const u32 block = format.block_weights;
  if (quick) return {{70, block == 1 ? 300 : u32(align_up(300, block))}};
  return {{7, block == 1 ? 4 : block},
          {70, block == 1 ? 300 : u32(align_up(300, block))},
          {133, block == 1 ? 1100 : u32(align_up(1100, block))},
          {5, 16384}};
}

Status each_matmul(const OpChoice& choice, const gpu::Device& device, MatMulKernel kernel,
                   const gpu::Features& features, const VisitOp& visit) {
  constexpr u32 small_batches[] = {2, 5, 16, 70, 33},
                many[] = {64, 257, 33, 17};  // of the shapes in turn: wide ones take long on CPU drivers
  u32 round = 0;
  for (const formats::Format& format : formats::table()) {
    if (!choice.wants(format)) continue;
    for (u32 i = 0; i < std::size(matmul_kinds); ++i) {
      if (!wants_kind(choice, format, i)) continue;
      kernels::MatMulKind kind = matmul_kinds[i];
      kind.format = &format;
      const auto shapes = matmul_shapes(format, choice.quick);
      for (u32 s = 0; s < shapes.size(); ++s) {
        const u32 tokens = kernel == MatMulKernel::gemm    ? many[s]
                           : kernel == MatMulKernel::batch ? small_batches[round % 5]
                                                           : 1;
        const MatMulSpec spec{kernel, kind, shapes[s].rows, shapes[s].cols, tokens, round % 3 == 0 ? round % 7 : 0};
        PRONK_OK(visit([&] { return matmul_case(spec, device.limits(), features, round); }));
        ++round;
      }
    }
  }
  return {};
}

Status each_embed(const OpChoice& choice, const VisitOp& visit) {
  u32 seed = 0;
  for (const formats::Format& format : formats::table()) {
    for (const u32 width :
         {format.block_weights == 1 ? 20 : format.block_weights, u32(align_up(1100, format.block_weights))}) {
      if (choice.wants(format)) PRONK_OK(visit([&] { return embed_case(format, 13, width, ++seed); }));
    }
  }
  const formats::Format& plain = formats::table().front();
  if (choice.wants(plain)) PRONK_OK(visit([&] { return embed_case(plain, 13, 20, ++seed, true); }));
  return {};
}

Status each_expert_matmul(const OpChoice& choice, const gpu::Device& device, const gpu::Features& features,
                          const VisitOp& visit) {
  u32 seed = 0;
  for (const formats::Format& format : formats::table()) {
    if (!choice.wants(format)) continue;
    for (u32 i = 0; i < (choice.quick ? 1 : 3); ++i, ++seed) {
      const u32 slots = 1 + seed % 4;
      const ExpertMatMulSpec spec{.format = &format,
                                  .matrices = i == 2 ? slots : 6,
                                  .rows = 20 + seed % 7,
                                  .cols = format.block_weights == 1 ? 52 : format.block_weights,
                                  .slots = slots,
                                  .tokens = 1 + seed % 5,
                                  .bias = i == 0,
                                  .chosen = i != 2,
                                  .own_x = i == 1};
      PRONK_OK(visit([&] { return expert_matmul_case(spec, device.limits(), features, seed); }));
      if (features.subgroups) continue;  // the GEMM knows none
      ExpertMatMulSpec grouped = spec;
      grouped.kernel = MatMulKernel::gemm;
      grouped.tokens = 35;
      PRONK_OK(visit([&] { return expert_matmul_case(grouped, device.limits(), features, seed); }));
    }
  }
  return {};
}

Status each_rotate(const OpChoice& choice, const VisitOp& visit) {
  u32 round = 0;
  for (const u32 width : {8u, 64u, 80u, 128u, 256u}) {
    for (const KvType kv : {KvType::f32, KvType::f16}) {
      for (const bool adjacent : {false, true}) {
        constexpr u32 positions[] = {0, 61, 127, 3000};
        const AttentionSpec spec{.heads = heads_of(1 + round % 4, 1 + round % 3, width),
                                 .kv = kv,
                                 .rotated = round % 2 ? width : width / 2,
                                 .pairs = adjacent ? graph::RopePairs::adjacent : graph::RopePairs::halves,
                                 .q_norm = round % 4 == 1 || round % 4 == 2,
                                 .k_norm = round % 4 > 1,
                                 .tokens = 1 + round % 7};
        if (choice.wants(kv)) PRONK_OK(visit([&] { return rotate_case(spec, positions[round % 4], round); }));
        ++round;
      }
    }
  }
  return {};
}

// Of attention: what a case is about, and the candidate of its kernel, else the default.
struct Variant {
  bool decode = false;
  gpu::Features features;
  std::optional<u32> candidate = {};
};

// A sharp softmax would show the rounding of single keys.
void finish_spec(AttentionSpec& spec, const Variant& variant) {
  const bool exact = spec.kv == graph::KvTypes(KvType::f32);
  spec.scale = (exact ? 1.0f : 0.25f) / std::sqrt(float(spec.heads.key));
  spec.prefill_tile = kernels::attention_tile(spec.heads, 256, false, variant.features);
  spec.decode_tile = kernels::attention_tile(spec.heads, 1, true, variant.features);
  spec.decode = variant.decode;
  spec.attend = !variant.decode;  // then only what it stores is wanted
  if (variant.candidate) {
    (variant.decode ? spec.decode_tile : spec.prefill_tile) =
        kernels::attention_tile(spec.heads, variant.decode ? 1 : 256, variant.decode, *variant.candidate);
  }
}

Status each_fused_attention(const OpChoice& choice, const Variant& variant, const VisitOp& visit) {
  constexpr u32 widths[] = {64, 128, 80, 256, 8}, groups[] = {4, 1, 7, 8, 16, 3}, lengths[] = {1, 70, 129, 63, 64, 33},
                cached[] = {1, 70, 300, 63, 1000, 129};
  u32 round = 0;
  for (const KvType k : kv_types) {
    for (const KvType v : kv_types) {
      for (const u32 width : widths) {
        const u32 turn = round++;
        if (!choice.wants({k, v}) || (choice.quick && turn % 5 != turn / 5 % 5)) continue;
        const bool exact = k == KvType::f32 && v == KvType::f32;
        AttentionSpec spec{.heads = heads_of(groups[turn % 6], 1 + turn % 2, width), .kv = {k, v}, .rotated = width};
        spec.pairs = turn % 2 ? graph::RopePairs::adjacent : graph::RopePairs::halves;
        spec.tokens = std::max((variant.decode ? cached : lengths)[turn / 2 % 6], exact ? 1u : 33u);
        finish_spec(spec, variant);
        PRONK_OK(visit([&] { return attention_case(spec, turn); }));
      }
    }
  }
  return {};
}

// By StoreKv and Attention, in three chunks: windows in rings, soft caps, sinks, other widths, both ways.
Status each_plain_attention(const OpChoice& choice, const Variant& variant, const VisitOp& visit) {
  constexpr HeadShape latent{.query = 16, .kv = 1, .key = 576, .value = 512, .values_in_keys = true};
  const AttentionSpec specs[] = {
      {.heads = heads_of(2, 2, 64), .window = 50},
      {.heads = heads_of(4, 1, 128), .soft_cap = 2},
      {.heads = heads_of(8, 2, 64), .window = 40, .sinks = true},
      {.heads = {.query = 6, .kv = 2, .key = 192, .value = 128}},
      {.heads = latent},
      {.heads = heads_of(1, 4, 32), .causal = false},
      {.heads = heads_of(1, 4, 64), .window = 24, .causal = false},
  };
  const bool one_type = variant.candidate && choice.candidate.empty();  // candidates take turns with the types
  u32 seed = 0, turn = 0;
  for (AttentionSpec spec : specs) {
    ++turn;
    for (const KvType kv : kv_types) {
      if (one_type && kv != kv_types[(*variant.candidate + turn) % std::size(kv_types)]) continue;
      if (!choice.wants(kv) || (choice.quick && seed++ % 3 != 0) || (variant.decode && !spec.causal)) continue;
      spec.kv = kv;
      spec.fused = false;
      spec.tokens = 40, spec.chunks = spec.causal ? 3 : 1;
      finish_spec(spec, variant);
      PRONK_OK(visit([&] { return attention_case(spec, seed); }));
    }
  }
  return {};
}

Status each_attention(const OpChoice& choice, const gpu::Device& device, bool decode, const VisitOp& visit) {
  const Variant standard{decode, device.features()};
  if (choice.candidate.empty()) {
    PRONK_OK(each_fused_attention(choice, standard, visit));
    PRONK_OK(each_plain_attention(choice, standard, visit));
    if (choice.quick) return {};
  }
  const auto kernel = decode ? kernels::TunedKernel::attention_decode : kernels::TunedKernel::attention_prefill;
  for (u32 i = 0; i < kernels::candidate_count(kernel); ++i) {
    if (!kernels::runs(kernel, i, device.limits(), device.features()) || !choice.wants(kernel, i)) continue;
    const Variant variant{decode, device.features(), i};
    if (!choice.candidate.empty()) PRONK_OK(each_fused_attention(choice, variant, visit));
    PRONK_OK(each_plain_attention(choice, variant, visit));
  }
  return {};
}

Status each_store_kv(const OpChoice& choice, const VisitOp& visit) {
  for (const KvType kv : {KvType::f32, KvType::f16}) {
    kernels::StoreKv store{.heads = 2, .key = 96, .value = 64, .kv = kv, .capacity = 20};
    if (!choice.wants(kv)) continue;
    PRONK_OK(visit([&] { return store_kv_case(store, 55, 9, 1); }));
    store.values_in_keys = true;
    PRONK_OK(visit([&] { return store_kv_case(store, 0, 20, 2); }));
  }
  return {};
}

Status each_sampling(const OpChoice& choice, const VisitOp& visit) {
  if (!choice.all_formats()) return {};
  constexpr graph::SamplingParams all[] = {
      {},
      {.temperature = 1, .seed = 5},
      {.temperature = 0.7f, .top_k = 40, .seed = 6},
      {.temperature = 1, .top_p = 0.9f, .seed = 7},
      {.temperature = 1.3f, .min_p = 0.05f, .seed = 8},
      {.temperature = 0.8f, .top_k = 100, .top_p = 0.95f, .min_p = 0.01f, .seed = 9}};
  for (const u32 vocab : {17u, 1025u, 32000u, 151936u}) {
    u32 seed = vocab;
    for (const graph::SamplingParams& sampling : all)
      PRONK_OK(visit([&] { return sampling_case(vocab, sampling, ++seed); }));
  }
  return {};
}

Status each_adjustment(const OpChoice& choice, const VisitOp& visit) {
  if (!choice.all_formats()) return {};
  for (const u32 vocab : {17u, 1025u, 151936u}) {
    for (const bool masked : {false, true}) PRONK_OK(visit([&] { return adjust_case(vocab, masked, vocab); }));
  }
  return {};
}

// ---- Operations on rows

Status each_norm(const VisitOp& visit) {
  u32 seed = 0;
  for (const auto kind : {graph::Norm::Kind::rms, graph::Norm::Kind::layer}) {
    for (const auto [width, group] : {std::pair{300u, 300u}, {2052u, 2052u}, {640u, 128u}}) {
      const kernels::Norm norm{.kind = kind,
                               .width = width,
                               .group = group,
                               .weight_width = seed % 2 ? width : group,
                               .bias_width = seed % 3 ? 0 : width,
                               .eps = 1e-5f,
                               .add = seed % 2 == 1};
      PRONK_OK(visit([&] { return norm_case(norm, 1 + seed % 4, seed); }));
      ++seed;
    }
  }
  return {};
}

Status each_map(const VisitOp& visit) {
  Status status;
  u32 seed = 0;
  each_enumerator(graph::Function{}, [&](const char*, graph::Function function) {
    using enum graph::Function;
    if (!status) return;
    kernels::Map map{.function = function, .width = 132, .p = {0.75f, 0.5f, 1.5f, -1e-6f}};
    if (function == clamp) map.p = {-0.8f, 1.7f};
    if (function == soft_cap) map.p = {3};
    if (function == clamped_gate) map.p = {1.702f, 7};
    if (graph::takes_two(function)) map.b_width = seed % 2 ? 132 : 33;
    const bool four = function == learned_xielu;
    if (four) map.b_width = 4;
    status = visit([&] { return map_case(map, four || seed % 3 == 0, 3, seed); });
    ++seed;
  });
  return status;
}

Status each_rope(const VisitOp& visit) {
  u32 seed = 0;
  for (const auto pairs : {graph::RopePairs::adjacent, graph::RopePairs::halves}) {
    for (const u32 position : {0u, 60u, 131070u}) {
      const kernels::Rope rope{.pairs = pairs, .width = 288, .head = 96, .first = seed % 2 ? 64u : 0u, .rotated = 32};
      PRONK_OK(visit([&] { return rope_case(rope, position, 5, seed); }));
      ++seed;
    }
  }
  return {};
}

Status each_columns(const VisitOp& visit) {
  PRONK_OK(visit([] { return position_scale_case({.width = 52, .scale = 0.1f, .interval = 32}, 29, 7, 1); }));
  PRONK_OK(visit([] { return take_columns_case({.groups = 5, .group = 21, .first = 7, .width = 3}, 4, 2); }));
  PRONK_OK(visit([] { return join_columns_case({.groups = 7, .group_a = 3, .group_b = 8}, 4, 3); }));
  PRONK_OK(visit([] { return weighted_sum_case({.width = 100, .parts = 8}, 3, 4); }));
  return visit([] { return keep_largest_case({.width = 1000, .deviations = 1.6448536f}, 4, 5); });
}

Status each_route(const VisitOp& visit) {
  using Gating = graph::Route::Gating;
  u32 seed = 0;
  for (const Gating gating : {Gating::softmax, Gating::sigmoid, Gating::softmax_after}) {
    for (const u32 groups : {1u, 8u}) {
      const kernels::Route route{.gating = gating,
                                 .experts = 128,
                                 .used = 8,
                                 .groups = groups,
                                 .groups_used = groups == 1 ? 1u : 4u,
                                 .bias = groups > 1,
                                 .expert_scale = groups == 1,
                                 .normalize = gating == Gating::sigmoid,
                                 .scale = 2.5f};
      PRONK_OK(visit([&] { return route_case(route, 4, ++seed); }));
      if (groups == 1) continue;
      kernels::Route by_best = route;
      by_best.by_best = true;
      PRONK_OK(visit([&] { return route_case(by_best, 4, ++seed); }));
    }
  }
  return {};
}

Status each_recurrence(const VisitOp& visit) {
  PRONK_OK(visit([] { return conv1d_case({.width = 300, .kernel = 4, .bias = true}, 9, 1); }));
  PRONK_OK(visit([] { return delta_rule_case({.key_heads = 2, .value_heads = 4, .key = 128, .value = 128}, 5, 2); }));
  PRONK_OK(
      visit([] { return scan_case({.heads = 100, .groups = 1, .width = 1, .state = 16, .a_of_state = true}, 7, 3); }));
  return visit([] { return scan_case({.heads = 6, .groups = 2, .width = 64, .state = 128}, 5, 4); });
}

// Those that have no weight formats: a case is made to be asked for its operation's name.
Status each_row_operation(const OpChoice& choice, const VisitOp& visit) {
  if (!choice.all_formats()) return {};
  const VisitOp wanted = [&](const std::function<OpCase()>& make) -> Status {
    if (!choice.op.empty() && make().op != choice.op) return {};
    return visit(make);
  };
  PRONK_OK(each_norm(wanted));
  PRONK_OK(each_map(wanted));
  PRONK_OK(each_rope(wanted));
  PRONK_OK(each_columns(wanted));
  PRONK_OK(each_route(wanted));
  return each_recurrence(wanted);
}

// All candidates that the device runs, of a plain format, one with blocks, and one asked for; one kind for each, of a
// candidate asked for all with these two formats. A GEMM has a tile that is full, and one that is not.
Status each_candidate(const OpChoice& choice, const gpu::Device& device, MatMulKernel kernel, const VisitOp& visit) {
  constexpr u32 tokens[] = {1, 13, 70};
  const kernels::TunedKernel tuned = kernels::tuned(kernel);
  for (const formats::Format& format : formats::table()) {
    const bool asked = choice.format || !choice.candidate.empty();
    if (!choice.wants(format) || (!asked && !is_example(format))) continue;
    for (u32 i = 0; i < kernels::candidate_count(tuned); ++i) {
      if (!choice.wants(tuned, i)) continue;
      if (!kernels::runs(tuned, i, device.limits(), kernels::features_for(format, device.features()))) continue;
      for (u32 k = 0; k < std::size(matmul_kinds); ++k) {
        const bool all = !choice.candidate.empty() && is_example(format);
        if (!all && k != i % std::size(matmul_kinds)) continue;
        kernels::MatMulKind kind = matmul_kinds[k];
        kind.format = &format;
        const MatMulSpec spec{.kernel = kernel,
                              .kind = kind,
                              .rows = 70,
                              .cols = u32(align_up(300, format.block_weights)),
                              .tokens = tokens[u32(kernel)],
                              .candidate = i};
        PRONK_OK(visit([&] { return matmul_case(spec, device.limits(), device.features(), i); }));
      }
    }
  }
  return {};
}

}  // namespace

HeadShape heads_of(u32 group, u32 kv, u32 width) {
  return {.query = group * kv, .kv = kv, .key = width, .value = width};
}

bool OpChoice::wants(kernels::TunedKernel kernel, u32 i) const {
  return candidate.empty() || kernels::candidate_name(kernel, i) == candidate;
}

Status each_op(const OpChoice& choice, const gpu::Device& device, const VisitOp& visit) {
  const bool all = choice.candidate.empty();  // others have none
  if (all && choice.wants("embed")) PRONK_OK(each_embed(choice, visit));
  for (const MatMulKernel kernel : {MatMulKernel::matvec, MatMulKernel::batch, MatMulKernel::gemm}) {
    if (!choice.wants(matmul_names[u32(kernel)])) continue;
    if (all) PRONK_OK(each_matmul(choice, device, kernel, {}, visit));
    if (all && kernel != MatMulKernel::gemm && device.features().subgroups)
      PRONK_OK(each_matmul(choice, device, kernel, device.features(), visit));
    if (!all || !choice.quick) PRONK_OK(each_candidate(choice, device, kernel, visit));
  }
  if (all && choice.wants("matmul-experts")) {
    PRONK_OK(each_expert_matmul(choice, device, {}, visit));
    if (device.features().subgroups) PRONK_OK(each_expert_matmul(choice, device, device.features(), visit));
  }
  if (all) PRONK_OK(each_row_operation(choice, visit));
  if (all && choice.wants("store_kv")) PRONK_OK(each_store_kv(choice, visit));
  if (all && choice.wants("rotate_store")) PRONK_OK(each_rotate(choice, visit));
  if (choice.wants("attention")) PRONK_OK(each_attention(choice, device, false, visit));
  if (choice.wants("attention-decode")) PRONK_OK(each_attention(choice, device, true, visit));
  if (all && choice.wants("adjust_logits")) PRONK_OK(each_adjustment(choice, visit));
  if (all && choice.wants("sampling")) PRONK_OK(each_sampling(choice, visit));
  return {};
}

}  // namespace pronk::engine
