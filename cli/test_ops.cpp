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
#include "engine/op_list.h"
#include "engine/op_run.h"
#include "gpu/native.h"

namespace pronk::cli {

namespace {

using engine::kv_types;
using engine::matmul_names;
using engine::MatMulKernel;
using engine::OpCase;
using engine::OpChoice;
using graph::KvType;
using kernels::HeadShape;
using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string_view kv_option_name(KvType type) {
  constexpr std::string_view names[] = {"f32", "f16", "q8_0", "q4_0"};
  return names[u32(type)];
}

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

// ---- Timing

using MakeAt = std::function<OpCase(u32 size)>;

// Calls visit with what makes a case of size 0 (small), 1 (of a real model) and 2 (beyond the caches of a large GPU).
Status each_timing(const OpChoice& choice, const gpu::Device& device,
                   const std::function<Status(const MakeAt&)>& visit) {
  for (const MatMulKernel kernel : {MatMulKernel::matvec, MatMulKernel::batch, MatMulKernel::gemm}) {
    if (!choice.wants(matmul_names[u32(kernel)])) continue;
    for (const formats::Format& format : formats::table()) {
      if (!choice.wants(format)) continue;
      PRONK_OK(visit([&](u32 size) {
        constexpr std::pair<u32, u32> shapes[] = {{1024, 1024}, {4096, 4096}, {8192, 16384}};  // rows, columns
        const u32 tokens = kernel == MatMulKernel::matvec  ? 1
                           : kernel == MatMulKernel::batch ? kernels::batch_tokens
                           : size == 0                     ? 32
                                                           : 256;
        const engine::MatMulSpec spec{.kernel = kernel,
                                      .kind = {&format},
                                      .rows = shapes[size].first,
                                      .cols = shapes[size].second,
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
      const HeadShape heads = engine::heads_of(4, 8, 128);
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

// One name may be both a format of weights and a type of the cache.
Outcome choose_format(OpChoice& choice, std::string_view name) {
  if (name.empty()) return {};
  std::string all;
  for (const formats::Format& format : formats::table()) {
    if (format.name == name) choice.format = &format;
    all += std::string(format.name) + "|";
  }
  for (const KvType type : kv_types) {
    if (kv_option_name(type) == name) choice.kv = type;
    all += std::string(kv_option_name(type)) + "|";
  }
  if (!choice.all_formats()) return {};
  all.pop_back();
  return bad_usage("pronk test-ops: --format is " + quoted(name) + ", not one of " + all);
}

Outcome run(const Args& args) {
  const std::string_view format = args.text("--format");
  OpChoice choice{.op = args.text("--op"), .candidate = args.text("--candidate"), .quick = args.flag("--quick")};
  PRONK_OK(choose_format(choice, format));
  PRONK_TRY(auto device, gpu::create_native_device());
  const Clock::time_point start = Clock::now();
  Bench bench(std::move(device));
  Report report(bench, args.flag("--json"));
  PRONK_OK(engine::each_op(choice, bench.device(), [&](const auto& make) { return report.test(make); }));
  if (report.tests() == 0) {
    const auto part = [](std::string_view words, std::string_view name) {
      return name.empty() ? std::string() : std::string(words) + quoted(name);
    };
    return bad_usage("pronk test-ops: no operation" + part(" ", choice.op) + " works" + part(" on format ", format) +
                     part(" with candidate ", choice.candidate));
  }
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
    {.name = "--candidate", .value = "NAME", .help = "only this candidate of the tuner's (64x16)"},
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
