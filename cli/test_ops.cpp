// pronk test-ops: every operation × format × shape × variant on this machine's device, against the reference in double
// precision; with --perf also how fast it is. What a user sends in with a bug report.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "commands.h"
#include "engine.h"
#include "engine/op_run.h"
#include "gpu/native.h"

namespace pronk::cli {

namespace {

using engine::AttentionSpec;
using engine::MatMulKernel;
using engine::OpCase;
using graph::Epilogue;
using graph::KvType;
using kernels::HeadShape;
using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string_view kv_option_name(KvType type) {
  constexpr std::string_view names[] = {"f32", "f16", "q8_0", "q4_0"};
  return names[u32(type)];
}
constexpr KvType kv_types[] = {KvType::f32, KvType::f16, KvType::q8, KvType::q4};

// ---- The device, waited for

class Bench {
 public:
  explicit Bench(std::unique_ptr<gpu::Device> device) : device_(std::move(device)) {}
  gpu::Device& device() { return *device_; }

  // Compiles what is new. The milliseconds that all of it took, now or earlier.
  Result<double> compile(const OpCase& c) {
    double sum = 0;
    for (const engine::OpStep& step : c.steps) {
      const auto [at, added] = pipelines_.try_emplace(step.kernel.label);
      if (added) {
        const Clock::time_point start = Clock::now();
        at->second.id = device_->create_pipeline(step.kernel);
        if (auto ready = next(gpu::Event::Kind::pipeline_ready, u32(at->second.id)); !ready) {
          pipelines_.erase(at);
          return std::unexpected(std::move(ready.error()));
        }
        at->second.compile_ms = 1000 * seconds_since(start);
      }
      sum += at->second.compile_ms;
    }
    return sum;
  }

  Result<engine::OpResult> check(OpCase c) {
    PRONK_OK(compile(c));
    engine::OpRun run(*device_);
    std::vector<OpCase> cases;
    cases.push_back(std::move(c));
    run.start(std::move(cases), pipelines(), ++ticket_);
    PRONK_TRY(const gpu::Event event, next(gpu::Event::Kind::read_done, ticket_));
    run.finish(event.bytes);
    return run.result(0);
  }

  // Seconds that one run takes, from as many in one submission as fill 50 ms; over 2 s in all it makes do with fewer.
  Result<double> time(OpCase c) {
    constexpr double enough = 0.05, most = 2;
    constexpr u32 most_times = 20000;
    PRONK_OK(compile(c));
    engine::OpRun run(*device_);
    run.prepare(std::move(c), pipelines());
    const Clock::time_point start = Clock::now();
    PRONK_TRY(double seconds, submit(run, 1));  // the first run warms up
    for (u32 times = 1;;) {
      PRONK_TRY(seconds, submit(run, times));
      const bool last = seconds >= enough || times == most_times || seconds_since(start) + 2 * seconds > most;
      if (last) return seconds / times;
      times = u32(std::clamp(1.5 * enough / seconds * times, 2.0 * times, double(most_times)));
    }
  }

 private:
  struct Compiled {
    gpu::PipelineId id = gpu::PipelineId::none;
    double compile_ms = 0;
  };

  engine::OpRun::Pipelines pipelines() {
    return [this](const gpu::PipelineDesc& kernel) { return pipelines_.at(kernel.label).id; };
  }

  Result<double> submit(engine::OpRun& run, u32 times) {
    const Clock::time_point start = Clock::now();
    run.submit_repeated(times);
    device_->notify_done(++ticket_);
    PRONK_OK(next(gpu::Event::Kind::work_done, ticket_));
    return seconds_since(start);
  }

  // The event that is waited for; any failure instead is an error. What an earlier, failed test left behind is passed
  // over.
  Result<gpu::Event> next(gpu::Event::Kind wanted, u32 id) {
    using Kind = gpu::Event::Kind;
    gpu::Event event;
    do {
      for (u32 i = 0; i < 120 && !device_->has_event(); ++i) gpu::wait(*device_, std::chrono::seconds(1));
      if (!device_->next_event(event)) return fail("the device has been silent for two minutes");
      if (event.kind == wanted && event.id == id) return event;
    } while (event.kind == Kind::read_done || event.kind == Kind::work_done || event.kind == Kind::pipeline_ready);
    std::replace(event.message.begin(), event.message.end(), '\n', ' ');
    const bool lost = event.kind == gpu::Event::Kind::device_lost;
    return fail(lost ? ErrorCode::device_lost : ErrorCode::device_failed, "the device says: " + event.message);
  }

  std::unique_ptr<gpu::Device> device_;
  std::map<std::string, Compiled> pipelines_;  // by label
  u32 ticket_ = 0;
};

// ---- Which cases there are

struct Choice {
  std::string_view op, format;  // empty: all
  bool quick = false;

  bool wants(std::string_view an_op) const { return op.empty() || op == an_op; }
  bool wants(const formats::Format& f) const { return format.empty() || format == f.name; }
  bool wants(graph::KvTypes kv) const {
    return format.empty() || format == kv_option_name(kv.k) || format == kv_option_name(kv.v);
  }
};

using Visit = std::function<Status(const std::function<OpCase()>& make)>;

constexpr std::string_view matmul_names[] = {"matvec", "matvec-batch", "gemm"};
constexpr kernels::MatMulKind matmul_kinds[] = {
    {nullptr, false, false, Epilogue::none}, {nullptr, true, false, Epilogue::gated},
    {nullptr, true, true, Epilogue::none},   {nullptr, false, true, Epilogue::add},
    {nullptr, true, false, Epilogue::gate},  {nullptr, true, false, Epilogue::none},
    {nullptr, false, false, Epilogue::add},
};

// All kinds for a plain format, one with blocks, and one asked for; three for the others, which differ in how weights
// are decoded alone; two when it has to be quick.
bool wants_kind(const Choice& choice, const formats::Format& format, u32 kind) {
  if (choice.quick) return kind < 2;
  const auto all = formats::table();
  const bool first_with_blocks =
      &format == &*std::find_if(all.begin(), all.end(), [](const auto& f) { return f.block_weights > 1; });
  if (&format == all.data() || first_with_blocks || !choice.format.empty()) return true;
  return kind < 2 || kind == 2 + u32(&format - all.data()) % (std::size(matmul_kinds) - 2);
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

Status each_matmul(const Choice& choice, const gpu::Device& device, MatMulKernel kernel, const gpu::Features& features,
                   const Visit& visit) {
  constexpr u32 small_batches[] = {2, 5, 16},
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
                           : kernel == MatMulKernel::batch ? small_batches[round % 3]
                                                           : 1;
        const engine::MatMulSpec spec{kernel,         kind,   shapes[s].rows,
                                      shapes[s].cols, tokens, round % 3 == 0 ? round % 7 : 0};
        PRONK_OK(visit([&] { return engine::matmul_case(spec, device.limits(), features, round); }));
        ++round;
      }
    }
  }
  return {};
}

Status each_embed(const Choice& choice, const Visit& visit) {
  u32 seed = 0;
  for (const formats::Format& format : formats::table()) {
    for (const u32 width :
         {format.block_weights == 1 ? 20 : format.block_weights, u32(align_up(1100, format.block_weights))}) {
      if (choice.wants(format)) PRONK_OK(visit([&] { return engine::embed_case(format, 13, width, ++seed); }));
    }
  }
  const formats::Format& plain = formats::table().front();
  if (choice.wants(plain)) PRONK_OK(visit([&] { return engine::embed_case(plain, 13, 20, ++seed, true); }));
  return {};
}

Status each_expert_matmul(const Choice& choice, const gpu::Device& device, const gpu::Features& features,
                          const Visit& visit) {
  u32 seed = 0;
  for (const formats::Format& format : formats::table()) {
    if (!choice.wants(format)) continue;
    for (u32 i = 0; i < (choice.quick ? 1 : 3); ++i, ++seed) {
      const u32 slots = 1 + seed % 4;
      const engine::ExpertMatMulSpec spec{.format = &format,
                                          .matrices = i == 2 ? slots : 6,
                                          .rows = 20 + seed % 7,
                                          .cols = format.block_weights == 1 ? 52 : format.block_weights,
                                          .slots = slots,
                                          .tokens = 1 + seed % 5,
                                          .bias = i == 0,
                                          .chosen = i != 2,
                                          .own_x = i == 1};
      PRONK_OK(visit([&] { return engine::expert_matmul_case(spec, device.limits(), features, seed); }));
      if (features.subgroups) continue;  // the GEMM knows none
      engine::ExpertMatMulSpec grouped = spec;
      grouped.kernel = MatMulKernel::gemm;
      grouped.tokens = 35;
      PRONK_OK(visit([&] { return engine::expert_matmul_case(grouped, device.limits(), features, seed); }));
    }
  }
  return {};
}

// Keys and values equally wide.
HeadShape heads_of(u32 group, u32 kv, u32 width) {
  return {.query = group * kv, .kv = kv, .key = width, .value = width};
}

Status each_rotate(const Choice& choice, const Visit& visit) {
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
        if (choice.wants(kv)) PRONK_OK(visit([&] { return engine::rotate_case(spec, positions[round % 4], round); }));
        ++round;
      }
    }
  }
  return {};
}

// A sharp softmax would show the rounding of single keys.
void finish_spec(AttentionSpec& spec, gpu::Features features) {
  const bool exact = spec.kv == graph::KvTypes(KvType::f32);
  spec.scale = (exact ? 1.0f : 0.25f) / std::sqrt(float(spec.heads.key));
  spec.prefill_tile = kernels::attention_tile(spec.heads, 256, false, features);
  spec.decode_tile = kernels::attention_tile(spec.heads, 1, true, features);
}

Status each_fused_attention(const Choice& choice, bool decode, gpu::Features features, const Visit& visit) {
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
        spec.tokens = std::max((decode ? cached : lengths)[turn / 2 % 6], exact ? 1u : 33u), spec.decode = decode;
        spec.attend = !decode;  // then only what it stores is wanted
        finish_spec(spec, features);
        PRONK_OK(visit([&] { return engine::attention_case(spec, turn); }));
      }
    }
  }
  return {};
}

// By StoreKv and Attention, in three chunks: windows in rings, soft caps, sinks, other widths, both ways.
Status each_plain_attention(const Choice& choice, bool decode, gpu::Features features, const Visit& visit) {
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
  u32 seed = 0;
  for (AttentionSpec spec : specs) {
    for (const KvType kv : kv_types) {
      if (!choice.wants(kv) || (choice.quick && seed++ % 3 != 0) || (decode && !spec.causal)) continue;
      spec.kv = kv;
      spec.fused = false;
      spec.tokens = 40, spec.chunks = spec.causal ? 3 : 1, spec.decode = decode;
      spec.attend = !decode;
      finish_spec(spec, features);
      PRONK_OK(visit([&] { return engine::attention_case(spec, seed); }));
    }
  }
  return {};
}

Status each_attention(const Choice& choice, bool decode, gpu::Features features, const Visit& visit) {
  PRONK_OK(each_fused_attention(choice, decode, features, visit));
  return each_plain_attention(choice, decode, features, visit);
}

Status each_store_kv(const Choice& choice, const Visit& visit) {
  for (const KvType kv : {KvType::f32, KvType::f16}) {
    kernels::StoreKv store{.heads = 2, .key = 96, .value = 64, .kv = kv, .capacity = 20};
    if (!choice.wants(kv)) continue;
    PRONK_OK(visit([&] { return engine::store_kv_case(store, 55, 9, 1); }));
    store.values_in_keys = true;
    PRONK_OK(visit([&] { return engine::store_kv_case(store, 0, 20, 2); }));
  }
  return {};
}

Status each_sampling(const Choice& choice, const Visit& visit) {
  if (!choice.format.empty()) return {};
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
      PRONK_OK(visit([&] { return engine::sampling_case(vocab, sampling, ++seed); }));
  }
  return {};
}

Status each_adjustment(const Choice& choice, const Visit& visit) {
  if (!choice.format.empty()) return {};
  for (const u32 vocab : {17u, 1025u, 151936u}) {
    for (const bool masked : {false, true}) PRONK_OK(visit([&] { return engine::adjust_case(vocab, masked, vocab); }));
  }
  return {};
}

// ---- Operations on rows

Status each_norm(const Visit& visit) {
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
      PRONK_OK(visit([&] { return engine::norm_case(norm, 1 + seed % 4, seed); }));
      ++seed;
    }
  }
  return {};
}

Status each_map(const Visit& visit) {
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
    status = visit([&] { return engine::map_case(map, seed % 3 == 0, 3, seed); });
    ++seed;
  });
  return status;
}

Status each_rope(const Visit& visit) {
  u32 seed = 0;
  for (const auto pairs : {graph::RopePairs::adjacent, graph::RopePairs::halves}) {
    for (const u32 position : {0u, 60u, 131070u}) {
      const kernels::Rope rope{.pairs = pairs, .width = 288, .head = 96, .first = seed % 2 ? 64u : 0u, .rotated = 32};
      PRONK_OK(visit([&] { return engine::rope_case(rope, position, 5, seed); }));
      ++seed;
    }
  }
  return {};
}

Status each_columns(const Visit& visit) {
  PRONK_OK(visit([] { return engine::position_scale_case({.width = 52, .scale = 0.1f, .interval = 32}, 29, 7, 1); }));
  PRONK_OK(visit([] { return engine::take_columns_case({.groups = 5, .group = 21, .first = 7, .width = 3}, 4, 2); }));
  PRONK_OK(visit([] { return engine::join_columns_case({.groups = 7, .group_a = 3, .group_b = 8}, 4, 3); }));
  PRONK_OK(visit([] { return engine::weighted_sum_case({.width = 100, .parts = 8}, 3, 4); }));
  return visit([] { return engine::keep_largest_case({.width = 1000, .deviations = 1.6448536f}, 4, 5); });
}

Status each_route(const Visit& visit) {
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
      PRONK_OK(visit([&] { return engine::route_case(route, 4, ++seed); }));
    }
  }
  return {};
}

Status each_recurrence(const Visit& visit) {
  PRONK_OK(visit([] { return engine::conv1d_case({.width = 300, .kernel = 4, .bias = true}, 9, 1); }));
  PRONK_OK(visit(
      [] { return engine::delta_rule_case({.key_heads = 2, .value_heads = 4, .key = 128, .value = 128}, 5, 2); }));
  PRONK_OK(visit([] {
    return engine::scan_case({.heads = 100, .groups = 1, .width = 1, .state = 16, .a_of_state = true}, 7, 3);
  }));
  return visit([] { return engine::scan_case({.heads = 6, .groups = 2, .width = 64, .state = 128}, 5, 4); });
}

// Those that have no weight formats: a case is made to be asked for its operation's name.
Status each_row_operation(const Choice& choice, const Visit& visit) {
  if (!choice.format.empty()) return {};
  const Visit wanted = [&](const std::function<OpCase()>& make) -> Status {
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

// All candidates that the device runs, of a plain format, one with blocks, and one asked for.
Status each_candidate(const Choice& choice, const gpu::Device& device, MatMulKernel kernel, const Visit& visit) {
  const kernels::TunedKernel tuned = kernels::tuned(kernel);
  for (const formats::Format& format : formats::table()) {
    if (!choice.wants(format) || (choice.format.empty() && format.name != "F32" && format.name != "Q4_0")) continue;
    for (u32 i = 0; i < kernels::candidate_count(tuned); ++i) {
      if (!kernels::runs(tuned, i, device.limits(), kernels::features_for(format, device.features()))) continue;
      kernels::MatMulKind kind = matmul_kinds[i % std::size(matmul_kinds)];
      kind.format = &format;
      const engine::MatMulSpec spec{.kernel = kernel,
                                    .kind = kind,
                                    .rows = 70,
                                    .cols = u32(align_up(300, format.block_weights)),
                                    .tokens = kernel == MatMulKernel::matvec ? 1u : 13u,
                                    .candidate = i};
      PRONK_OK(visit([&] { return engine::matmul_case(spec, device.limits(), device.features(), i); }));
    }
  }
  return {};
}

Status each_case(const Choice& choice, const gpu::Device& device, const Visit& visit) {
  if (choice.wants("embed")) PRONK_OK(each_embed(choice, visit));
  for (const MatMulKernel kernel : {MatMulKernel::matvec, MatMulKernel::batch, MatMulKernel::gemm}) {
    if (!choice.wants(matmul_names[u32(kernel)])) continue;
    PRONK_OK(each_matmul(choice, device, kernel, {}, visit));
    if (kernel != MatMulKernel::gemm && device.features().subgroups)
      PRONK_OK(each_matmul(choice, device, kernel, device.features(), visit));
    if (!choice.quick) PRONK_OK(each_candidate(choice, device, kernel, visit));
  }
  if (choice.wants("matmul-experts")) {
    PRONK_OK(each_expert_matmul(choice, device, {}, visit));
    if (device.features().subgroups) PRONK_OK(each_expert_matmul(choice, device, device.features(), visit));
  }
  PRONK_OK(each_row_operation(choice, visit));
  if (choice.wants("store_kv")) PRONK_OK(each_store_kv(choice, visit));
  if (choice.wants("rotate_store")) PRONK_OK(each_rotate(choice, visit));
  if (choice.wants("attention")) PRONK_OK(each_attention(choice, false, device.features(), visit));
  if (choice.wants("attention-decode")) PRONK_OK(each_attention(choice, true, device.features(), visit));
  if (choice.wants("adjust_logits")) PRONK_OK(each_adjustment(choice, visit));
  if (choice.wants("sampling")) PRONK_OK(each_sampling(choice, visit));
  return {};
}

// ---- Timing

using MakeAt = std::function<OpCase(u32 size)>;

// Calls visit with what makes a case of size 0 (small), 1 (of a real model) and 2 (beyond the caches of a large GPU).
Status each_timing(const Choice& choice, const gpu::Device& device, const std::function<Status(const MakeAt&)>& visit) {
  for (const MatMulKernel kernel : {MatMulKernel::matvec, MatMulKernel::batch, MatMulKernel::gemm}) {
    if (!choice.wants(matmul_names[u32(kernel)])) continue;
    for (const formats::Format& format : formats::table()) {
      if (!choice.wants(format)) continue;
      PRONK_OK(visit([&](u32 size) {
        constexpr MatMulShape shapes[] = {{1024, 1024}, {4096, 4096}, {8192, 16384}};
        const u32 tokens = kernel == MatMulKernel::matvec  ? 1
                           : kernel == MatMulKernel::batch ? kernels::batch_tokens
                           : size == 0                     ? 32
                                                           : 256;
        const engine::MatMulSpec spec{.kernel = kernel,
                                      .kind = {&format},
                                      .rows = shapes[size].rows,
                                      .cols = shapes[size].cols,
                                      .tokens = tokens,
                                      .answer = false};
        return engine::matmul_case(spec, device.limits(), device.features(), 1);
      }));
    }
  }
  if (!choice.wants("attention-decode")) return {};
  for (const KvType kv : kv_types) {
    if (!choice.wants(graph::KvTypes(kv))) continue;
    PRONK_OK(visit([&](u32 size) {
      constexpr u32 contexts[] = {512, 4096, 16384};
      const HeadShape heads = heads_of(4, 8, 128);
      const kernels::AttentionTile tiles[] = {kernels::attention_tile(heads, 1, true, device.features())};
      return engine::attention_timing(heads, kv, contexts[size], 1, tiles);
    }));
  }
  return {};
}

// ---- What is told

ordered_json device_json(const gpu::Device& device) {
  const gpu::AdapterInfo& info = device.info();
  const gpu::Limits& l = device.limits();
  const gpu::Features& f = device.features();
  return {{"adapter",
           {{"vendor", info.vendor},
            {"architecture", info.architecture},
            {"device", info.device},
            {"description", info.description}}},
          {"features",
           {{"shader_f16", f.shader_f16},
            {"subgroups", f.subgroups},
            {"subgroup_min_size", f.subgroup_min_size},
            {"subgroup_max_size", f.subgroup_max_size}}},
          {"limits",
           {{"max_buffer_size", l.max_buffer_size},
            {"max_storage_buffer_binding_size", l.max_storage_buffer_binding_size},
            {"max_uniform_buffer_binding_size", l.max_uniform_buffer_binding_size},
            {"max_storage_buffers_per_shader_stage", l.max_storage_buffers_per_shader_stage},
            {"max_compute_workgroup_storage_size", l.max_compute_workgroup_storage_size},
            {"max_compute_invocations_per_workgroup", l.max_compute_invocations_per_workgroup},
            {"max_compute_workgroup_size_x", l.max_compute_workgroup_size_x},
            {"max_compute_workgroups_per_dimension", l.max_compute_workgroups_per_dimension},
            {"min_storage_buffer_offset_alignment", l.min_storage_buffer_offset_alignment},
            {"min_uniform_buffer_offset_alignment", l.min_uniform_buffer_offset_alignment}}}};
}

void print_device(const ordered_json& device) {
  for (const auto& [group, fields] : device.items()) {
    std::printf("%s\n", group.c_str());
    for (const auto& [name, value] : fields.items())
      std::printf("  %-40s %s\n", name.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  }
}

// Runs cases, prints a line each (or collects JSON) and counts.
class Report {
 public:
  Report(Bench& bench, bool json) : bench_(bench), json_(json), out_(device_json(bench.device())) {
    out_["tests"] = ordered_json::array();
    if (json_) return;
    print_device(device_json(bench.device()));
    std::printf("\n%-16s %-9s %-34s %-26s %10s %10s\n", "operation", "format", "shape", "variant", "error",
                "tolerance");
  }

  // A kernel that does not compile fails its case; a device that is gone ends everything.
  Status test(const std::function<OpCase()>& make) {
    OpCase c = make();
    ordered_json row = describe(c);
    const double tolerance = c.tolerance;
    const auto result = bench_.check(std::move(c));
    const bool good = result && result->error <= tolerance;
    ++tests_;
    failed_ += !good;
    if (!result && result.error().code == ErrorCode::device_lost) return std::unexpected(result.error());
    row["error"] = result ? ordered_json(result->error) : ordered_json(nullptr);
    row["tolerance"] = tolerance;
    row["ok"] = good;
    if (!good) row["message"] = result ? result->kernels : result.error().message;
    if (json_) {
      out_["tests"].push_back(std::move(row));
      return {};
    }
    std::printf("%s %10.2e %10.2e  %s\n", columns(row).c_str(), result ? result->error : NAN, tolerance,
                good ? "ok" : ("FAILED: " + row["message"].get<std::string>()).c_str());
    return {};
  }

  // The largest size that this device is fast enough for.
  Status time(const MakeAt& make) {
    constexpr double slow = 0.2;  // seconds: the next size takes sixteen times and more
    if (!out_.contains("timings")) {
      out_["timings"] = ordered_json::array();
      if (!json_)
        std::printf("\n%-16s %-9s %-34s %-26s %10s %10s %10s %10s\n", "operation", "format", "shape", "variant",
                    "compile ms", "µs", "GB/s", "GFLOP/s");
    }
    ordered_json row;
    OpCase c = make(0);
    PRONK_TRY(const double compile_ms, bench_.compile(c));
    for (u32 size = 0; size < 3; ++size) {
      if (size > 0) c = make(size);
      const auto large = [&](const auto& memory) {
        return memory.size() > bench_.device().limits().max_storage_buffer_binding_size;
      };
      if (std::any_of(c.memory.begin(), c.memory.end(), large)) break;
      row = describe(c);
      const double bytes = double(c.bytes), operations = double(c.operations);
      PRONK_TRY(const double seconds, bench_.time(std::move(c)));
      row["compile_ms"] = compile_ms;
      row["us"] = seconds * 1e6;
      row["gb_per_s"] = bytes / seconds / 1e9;
      row["gflop_per_s"] = operations / seconds / 1e9;
      const double limit = size == 0 ? slow / 16 : slow / 100;
      if (seconds > limit) break;
    }
    if (!json_) {
      std::printf("%s %10.1f %10.1f %10.2f %10.2f\n", columns(row).c_str(), row["compile_ms"].get<double>(),
                  row["us"].get<double>(), row["gb_per_s"].get<double>(), row["gflop_per_s"].get<double>());
    }
    out_["timings"].push_back(std::move(row));
    return {};
  }

  u32 tests() const { return tests_; }
  u32 failed() const { return failed_; }

  void finish(double seconds) {
    if (!json_) {
      std::printf("\n%u tests, %u failed, %.1f s\n", tests_, failed_, seconds);
      return;
    }
    out_["count"] = tests_;
    out_["failed"] = failed_;
    out_["seconds"] = seconds;
    std::puts(out_.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
  }

 private:
  // Caches are called as --kv calls them.
  static ordered_json describe(const OpCase& c) {
    std::string format = c.format;
    for (const KvType type : {KvType::q8, KvType::q4}) {
      const std::string_view name = engine::kv_name(type);
      for (std::size_t at = format.find(name); at != format.npos; at = format.find(name, at + 3))
        format.replace(at, name.size(), kv_option_name(type));
    }
    return {{"op", c.op}, {"format", format}, {"shape", c.shape}, {"variant", c.variant}};
  }
  static std::string columns(const ordered_json& row) {
    std::string text;
    constexpr std::pair<const char*, u32> widths[] = {{"op", 16}, {"format", 9}, {"shape", 34}, {"variant", 26}};
    for (const auto& [name, width] : widths) {
      std::string cell = row[name].get<std::string>();
      cell.resize(std::max<std::size_t>(cell.size(), width), ' ');
      text += (text.empty() ? "" : " ") + cell;
    }
    return text;
  }

  Bench& bench_;
  bool json_;
  ordered_json out_;
  u32 tests_ = 0, failed_ = 0;
};

Outcome check_format(std::string_view name) {
  std::string all;
  for (const formats::Format& format : formats::table()) {
    if (name.empty() || format.name == name) return {};
    all += std::string(format.name) + "|";
  }
  for (const KvType type : kv_types) {
    if (kv_option_name(type) == name) return {};
    all += std::string(kv_option_name(type)) + "|";
  }
  all.pop_back();
  return bad_usage("pronk test-ops: --format is " + quoted(name) + ", not one of " + all);
}

Outcome run(const Args& args) {
  const Choice choice{args.text("--op"), args.text("--format"), args.flag("--quick")};
  PRONK_OK(check_format(choice.format));
  PRONK_TRY(auto device, gpu::create_native_device());
  const Clock::time_point start = Clock::now();
  Bench bench(std::move(device));
  Report report(bench, args.flag("--json"));
  PRONK_OK(each_case(choice, bench.device(), [&](const auto& make) { return report.test(make); }));
  if (report.tests() == 0)
    return bad_usage("pronk test-ops: no operation " + quoted(choice.op) + " works on format " + quoted(choice.format));
  if (args.flag("--perf"))
    PRONK_OK(each_timing(choice, bench.device(), [&](const MakeAt& make) { return report.time(make); }));
  report.finish(seconds_since(start));
  if (report.failed() == 0) return {};
  return fail(std::to_string(report.failed()) + " of " + std::to_string(report.tests()) +
              " operation tests failed on this device");
}

constexpr Option options[] = {
    {.name = "--op",
     .help = "only this operation",
     .choices =
         "embed|matvec|matvec-batch|gemm|matmul-experts|norm|map|position_scale|rope|take_columns|join_columns|route|"
         "weighted_sum|keep_largest|conv1d|delta_rule|scan|store_kv|rotate_store|attention|attention-decode|"
         "adjust_logits|sampling"},
    {.name = "--format", .value = "NAME", .help = "only this weight format (Q4_K) or type of the KV cache (q8_0)"},
    {.name = "--quick", .kind = OptionKind::flag, .help = "fewer shapes and variants"},
    {.name = "--perf",
     .kind = OptionKind::flag,
     .help = "also time kernels at shapes of real models: compile time, GB/s, GFLOP/s"},
    {.name = "--backend", .value = "NAME", .help = "the CPU is what it is compared with", .choices = "webgpu"},
    {.name = "--json", .kind = OptionKind::flag, .help = "print one JSON object"},
};

}  // namespace

const Command test_ops_command{"test-ops", "checks and times every operation on this machine's GPU", {}, options, run};

}  // namespace pronk::cli
