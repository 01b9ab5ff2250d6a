#include <algorithm>
#include <optional>

#include "engine/cpu_runner.h"
#include "engine/gpu_plan.h"
#include "engine/gpu_runner.h"
#include "engine/loader.h"
#include "files/gguf.h"
#include "gpu/device.h"
#include "models/model.h"
#include "pronk/pronk.h"
#include "text/tokenizer.h"

namespace pronk {

std::vector<std::string> split_file_names(std::string_view name) { return files::all_split_names(name); }

// ---- Model

struct Model::Parts {
  std::vector<files::Gguf> headers;  // until they are joined
  u32 file_count = 1;
  files::Gguf file;
  std::optional<models::Model> model;
  std::optional<text::Tokenizer> tokenizer;
  std::string name;
  std::optional<Status> read;  // what came of read_headers(), once it was called

  Status read_headers();
};

Model::Model() : parts_(std::make_unique<Parts>()) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

Result<u64> Model::add_header(u32 file, std::span<const u8> prefix, u64 file_size) {
  if (parts_->read || file != parts_->headers.size()) return fail("headers of split files must come in order");
  const std::optional<u64> size = file_size == ~u64{0} ? std::nullopt : std::optional(file_size);
  PRONK_TRY(files::GgufPrefix parsed, files::parse_gguf(prefix, size, files::Keep::view));
  if (!parsed.gguf) return parsed.bytes_needed;
  if (file == 0) {
    PRONK_TRY(const u64 count, parsed.gguf->metadata.u64_or("split.count", 1));
    if (count > 10000) return fail("metadata key 'split.count' is out of range");
    parts_->file_count = std::max(1u, u32(count));
  }
  if (parts_->file_count == 1) {
    parts_->headers.push_back(std::move(*parsed.gguf));
    parts_->read = parts_->read_headers();  // while the prefix is there: a vocabulary is not held twice
    return u64{0};
  }
  PRONK_TRY(parsed, files::parse_gguf(prefix, size));
  parts_->headers.push_back(std::move(*parsed.gguf));
  return u64{0};
}

u32 Model::file_count() const { return parts_->file_count; }

Status Model::finish_headers() {
  if (!parts_->read) parts_->read = parts_->read_headers();
  return *parts_->read;
}

Status Model::Parts::read_headers() {
  if (headers.size() != file_count) return fail("not all files of the split model are here");
  if (headers.size() == 1) {
    file = std::move(headers[0]);
  } else {
    PRONK_TRY(file, files::join_splits(std::move(headers)));
  }
  headers.clear();
  PRONK_TRY(model, models::read_model(file));
  PRONK_TRY(tokenizer, text::Tokenizer::from_metadata(file.metadata));
  if (tokenizer->vocab_size() > model->hyper.vocab) {
    return fail("the vocabulary has " + std::to_string(tokenizer->vocab_size()) + " tokens, more than the " +
                std::to_string(model->hyper.vocab) + " rows of 'token_embd.weight'");
  }
  name = std::string(file.metadata.string_or("general.name", "").value_or(""));
  file.metadata = {};  // the vocabulary's bytes live on in the tokenizer alone
  return {};
}

std::string_view Model::architecture() const { return parts_->model->architecture; }
std::string_view Model::name() const { return parts_->name; }
u32 Model::vocab_size() const { return parts_->model->hyper.vocab; }
u32 Model::trained_context() const { return parts_->model->hyper.context_length; }
const text::Tokenizer& Model::tokenizer() const { return *parts_->tokenizer; }

u64 Model::parameter_count() const {
  u64 count = 0;
  for (const auto& tensor : parts_->file.tensors) count += tensor.weights();
  return count;
}

u64 Model::file_bytes() const {
  u64 bytes = 0;
  for (const auto& tensor : parts_->file.tensors) bytes += tensor.bytes;
  return bytes;
}

namespace {

constexpr u32 default_context = 4096;
constexpr u32 most_context = 1 << 24;

std::string mebibytes(u64 bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// Plans a model for one device, or for the CPU where limits are null.
class Preflight {
 public:
  Preflight(const models::Model& model, const LoadOptions& options, const gpu::Limits* limits,
            const gpu::Features* features)
      : model_(model), options_(options), limits_(limits), features_(features) {}

  // search: also finds the largest context that fits, which takes some twenty plans.
  Result<Plan> run(bool search) {
    if (options_.context > most_context)
      return fail("context length " + std::to_string(options_.context) + " is absurd");
    const u32 trained = std::clamp(model_.hyper.context_length, 1u, most_context);
    Plan plan;
    if (search || options_.largest_context) plan.largest_context = largest(trained, options_.kv);
    plan.context = options_.context > 0 ? options_.context : std::min(trained, default_context);
    if (options_.largest_context) plan.context = std::max(plan.largest_context, 1u);
    const Sizes sizes = at(plan.context, options_.kv);
    plan.memory = sizes.memory;
    plan.activations_lower_bound = sizes.activations_lower_bound;
    plan.refusal = sizes.refusal;
    if (!plan.fits()) plan.refusal += what_would_fit(plan.context, trained);
    return plan;
  }

  // What the plan takes by kind, and what takes less: for a device that refused it.
  std::string figures_and_less(const Plan& plan) const {
    using graph::KvType;
    const MemoryUse& use = plan.memory;
    std::string text = "the plan needs " + mebibytes(use.total()) + " (weights " + mebibytes(use.weights) +
                       ", KV cache " + mebibytes(use.kv_cache) + ", all else " +
                       mebibytes(use.total() - use.weights - use.kv_cache) + ")";
    const auto offer = [&](const std::string& change, u32 context, graph::KvTypes kv) {
      const u64 total = at(context, kv).memory.total();
      if (total < use.total()) text += "; " + change + " needs " + mebibytes(total);
    };
    if (plan.context > 1) offer("half the context", plan.context / 2, options_.kv);
    offer("a KV cache of 8 bits", plan.context, KvType::q8);
    return text;
  }

 private:
  struct Sizes {
    MemoryUse memory = {};
    u64 activations_lower_bound = 0;
    std::string refusal;
  };

  Sizes at(u32 context, graph::KvTypes kv) const {
    Sizes sizes;
    if (limits_) {
      const engine::PlanOptions options{.context = context, .kv = kv, .all_logits = options_.scoring};
      auto plan = engine::plan_gpu(model_, options, *limits_, *features_);
      if (!plan) {  // the figures are wanted all the same
        sizes.refusal = plan.error().message;
        plan = engine::plan_gpu(model_, options, boundless(), *features_);
      }
      if (!plan) return sizes;
      sizes.memory = engine::planned_memory(*plan);
      sizes.activations_lower_bound = plan->activations_lower_bound;
    } else {
      sizes.memory = engine::CpuRunner::plan(model_, context, kv, options_.scoring);
    }
    sizes.memory.staging += engine::Loader::part_bytes;
    if (sizes.refusal.empty()) sizes.refusal = over_budget(sizes.memory.total(), context);
    return sizes;
  }

  static gpu::Limits boundless() {
    gpu::Limits limits;
    limits.max_buffer_size = limits.max_storage_buffer_binding_size = u64{1} << 50;
    limits.max_compute_workgroups_per_dimension = 1u << 31;
    return limits;
  }

  std::string over_budget(u64 total, u32 context) const {
    constexpr u64 room = u64(SIZE_MAX) / 8 * 7;  // of a 32-bit address space
    const std::string need =
        "with a context of " + std::to_string(context) + " tokens the model needs " + mebibytes(total);
    if (options_.budget > 0 && total > options_.budget)
      return need + ", over the budget of " + mebibytes(options_.budget);
    if (!limits_ && total > room) return need + ", which does not fit this machine's memory";
    return {};
  }

  bool fits(u32 context, graph::KvTypes kv) const { return at(context, kv).refusal.empty(); }

  u32 largest(u32 trained, graph::KvTypes kv) const {
    if (fits(trained, kv)) return trained;
    u32 good = 0, bad = trained;  // good fits or is 0, bad does not fit
    while (bad - good > 1) {
      const u32 middle = good + (bad - good) / 2;
      (fits(middle, kv) ? good : bad) = middle;
    }
    return good;
  }

  std::string what_would_fit(u32 context, u32 trained) const {
    using graph::KvType;
    const u32 most = largest(std::min(context, trained), options_.kv);
    std::string text =
        most > 0 ? "; " + std::to_string(most) + " tokens would fit" : "; no shorter context would fit either";
    for (const auto& [type, name] : {std::pair{KvType::q8, "8"}, std::pair{KvType::q4, "4"}}) {
      if (graph::kv_row_bytes(type, 64) >= graph::kv_row_bytes(options_.kv.k, 64) || !fits(context, type)) continue;
      return text + ", and all of it with a KV cache of " + name + " bits";
    }
    return text;
  }

  const models::Model& model_;
  const LoadOptions& options_;
  const gpu::Limits* limits_;
  const gpu::Features* features_;
};

}  // namespace

Result<Plan> Model::plan(const LoadOptions& options, const gpu::Limits* limits, const gpu::Features* features) const {
  return Preflight(*parts_->model, options, limits, features).run(true);
}

// ---- Session

namespace {

class RunnerSession final : public Session {
 public:
  // status: of the engine; scoring: as in LoadOptions.
  RunnerSession(const Model& model, engine::Runner& runner, u32 context, bool scoring, const Status& status)
      : model_(model), runner_(runner), context_(context), scoring_(scoring), engine_status_(status) {}

  Status start(std::span<const u32> tokens, const GenerateOptions& options) override {
    PRONK_OK(check(tokens));
    keep_history();
    u64 common = 0;
    while (common < history_.size() && common < tokens.size() && history_[common] == tokens[common]) ++common;
    common = std::min<u64>(common, tokens.size() - 1);  // the last token is fed in any case: its logits are wanted
    reused_ = u32(common);
    history_.assign(tokens.begin(), tokens.end());
    ends_.clear();
    if (!options.ignore_end) {
      const auto ends = model_.tokenizer().end_tokens();
      ends_.assign(ends.begin(), ends.end());
    }
    wanted_ = options.max_tokens;
    finish_ = Finish::length;
    taken_ = 0;
    runner_.start({{tokens.begin() + std::ptrdiff_t(common), tokens.end()},
                   reused_,
                   wanted_,
                   options.resumed,
                   options.sampling,
                   ends_});
    return {};
  }

  bool next(u32& token) override {
    if (!runner_.next(token)) return false;
    history_.push_back(token);
    ++taken_;
    const bool ended = std::find(ends_.begin(), ends_.end(), token) != ends_.end();
    if (ended) finish_ = Finish::end_token;
    if (!ended && runner_.finished() && taken_ < wanted_) finish_ = Finish::context_full;
    return true;
  }

  bool running() const override { return !runner_.finished(); }
  Finish finish() const override { return finish_; }
  u32 reused_tokens() const override { return reused_; }

  void cancel() override {
    if (!running()) return;
    runner_.cancel();
    finish_ = Finish::cancelled;
  }

  Status score(std::span<const u32> tokens, bool by_steps) override {
    PRONK_OK(check(tokens));
    if (!scoring_) return fail("the model was loaded without memory for scoring");
    history_.clear();
    runner_.start_scoring({tokens.begin(), tokens.end()}, by_steps);
    return {};
  }

  std::span<const float> next_rows() override { return runner_.next_rows(); }

 private:
  Status check(std::span<const u32> tokens) const {
    PRONK_OK(engine_status_);
    if (!runner_.ready()) return fail("the model is still loading");
    if (running()) return fail("a generation is still running");
    if (tokens.empty()) return fail("the prompt is empty");
    if (tokens.size() > context_) {
      return fail("the prompt has " + std::to_string(tokens.size()) + " tokens, more than the context length " +
                  std::to_string(context_));
    }
    for (u32 token : tokens) {
      if (token >= model_.vocab_size())
        return fail("token " + std::to_string(token) + " is not below the vocabulary size " +
                    std::to_string(model_.vocab_size()));
    }
    return {};
  }

  // Of the last run's tokens, those whose keys and values are in the cache.
  void keep_history() { history_.resize(std::min<u64>(history_.size(), runner_.cached_tokens())); }

  const Model& model_;
  engine::Runner& runner_;
  u32 context_;
  bool scoring_;
  const Status& engine_status_;
  std::vector<u32> history_, ends_;
  u32 wanted_ = 0, taken_ = 0, reused_ = 0;
  Finish finish_ = Finish::length;
};

}  // namespace

// ---- Engine

struct Engine::Parts {
  std::shared_ptr<const Model> model;
  LoadOptions options;
  Plan plan;
  std::unique_ptr<gpu::Device> device;
  std::optional<engine::Loader> loader;
  std::unique_ptr<engine::Runner> runner;
  std::unique_ptr<RunnerSession> session;
  std::optional<gpu::Counters> counters_when_ready;
  Status status;
  bool weights_done = false;
};

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const Model> model, const LoadOptions& options,
                                               std::unique_ptr<gpu::Device> device) {
  auto parts = std::make_unique<Parts>();
  parts->options = options;
  const models::Model& inner = *model->parts_->model;
  Preflight preflight(inner, options, device ? &device->limits() : nullptr, device ? &device->features() : nullptr);
  PRONK_TRY(parts->plan, preflight.run(false));
  if (!parts->plan.fits()) return fail(parts->plan.refusal_code, parts->plan.refusal);
  const u32 context = parts->plan.context;
  PRONK_TRY(parts->loader, engine::Loader::create(model->parts_->file, inner.graph));
  if (device) {
    PRONK_TRY(engine::GpuPlan plan,
              engine::plan_gpu(inner, {.context = context, .kv = options.kv, .all_logits = options.scoring},
                               device->limits(), device->features()));
    parts->runner =
        std::make_unique<engine::GpuRunner>(inner, std::move(plan), *device, options.self_test && device->computes());
  } else {
    parts->runner = std::make_unique<engine::CpuRunner>(inner, context, options.kv, options.scoring);
  }
  parts->session = std::make_unique<RunnerSession>(*model, *parts->runner, context, options.scoring, parts->status);
  parts->device = std::move(device);
  parts->model = std::move(model);
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

u32 Engine::file() const { return parts_->loader->file(); }
u64 Engine::position() const { return parts_->loader->position(); }
u64 Engine::stream_end() const { return parts_->loader->stream_end(); }
bool Engine::wants_bytes() const { return parts_->status && !parts_->loader->done(); }
std::span<u8> Engine::space() { return parts_->loader->space(); }

Status Engine::commit(u64 bytes) {
  if (!parts_->status) return parts_->status;
  parts_->loader->commit(bytes, parts_->runner->sink());
  return pump();
}

Status Engine::pump() {
  Parts& p = *parts_;
  if (!p.status) return p.status;
  if (p.loader->done() && !p.weights_done) {
    p.weights_done = true;
    p.status = p.runner->weights_done();
    if (!p.status) return p.status;
  }
  p.status = p.runner->pump();
  if (!p.status && p.runner->memory_refused()) {
    const Preflight preflight(*p.model->parts_->model, p.options, &p.device->limits(), &p.device->features());
    p.status = fail(p.status.error().message + "; " + preflight.figures_and_less(p.plan));
  }
  if (ready() && !p.counters_when_ready) p.counters_when_ready = p.device ? p.device->counters() : gpu::Counters{};
  return p.status;
}

bool Engine::ready() const { return parts_->status && parts_->weights_done && parts_->runner->ready(); }
bool Engine::wants_pump() const { return parts_->status && parts_->runner->wants_pump(); }
Session& Engine::session() { return *parts_->session; }
gpu::Device* Engine::device() { return parts_->device.get(); }
const Model& Engine::model() const { return *parts_->model; }
const Plan& Engine::plan() const { return parts_->plan; }

MemoryUse Engine::planned() const {
  MemoryUse use = parts_->runner->planned();
  use.staging += engine::Loader::part_bytes;
  return use;
}

MemoryUse Engine::allocated() const {
  MemoryUse use = parts_->runner->allocated();
  use.staging += parts_->loader->staging_bytes();
  return use;
}

RunCounters Engine::run_counters() const {
  if (!parts_->device || !parts_->counters_when_ready) return {};
  const gpu::Counters now = parts_->device->counters(), ready = *parts_->counters_when_ready;
  RunCounters counters{.buffers_created_after_load = now.buffers_created - ready.buffers_created,
                       .bind_groups_created_after_load = now.bind_groups_created - ready.bind_groups_created,
                       .pipelines_created_after_load = now.pipelines_created - ready.pipelines_created};
  const std::optional<gpu::Counters> at_decode = parts_->runner->counters_at_decode();
  if (!at_decode || at_decode->reads == now.reads) return counters;
  const gpu::Counters& decode = *at_decode;
  const u64 steps = now.reads - decode.reads;  // each step reads back once
  counters.dispatches_per_token = double(now.dispatches - decode.dispatches) / double(steps);
  counters.submits_per_token = double(now.submits - decode.submits) / double(steps);
  counters.readback_bytes_per_token = double(now.readback_bytes - decode.readback_bytes) / double(steps);
  return counters;
}

}  // namespace pronk
