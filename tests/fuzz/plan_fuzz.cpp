// libFuzzer: models of any shape on devices of any limits, from header to plan. The first bytes choose limits and
// options; then come the fields of a model's shape, or a whole GGUF header. What is planned keeps inside the limits, is
// what loading creates, and runs on the strict null device; what is refused has one line to say so.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "engine/cpu_runner.h"
#include "engine/gpu_runner.h"
#include "gpu/null.h"
#include "graph/graph.h"
#include "support/engine_model.h"

namespace {

using namespace pronk;

// The input, field by field; zeros when it has ended.
class Fields {
 public:
  Fields(const u8* bytes, std::size_t size) : bytes_(bytes, size) {}

  u8 byte() {
    if (bytes_.empty()) return 0;
    const u8 value = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return value;
  }
  u32 below(u32 end) { return byte() % end; }
  // Of any magnitude up to `most`: five bits of it, and how far they are shifted.
  u64 size(u64 most) {
    const u64 digits = 1 + byte() % 32, shift = byte() % 48;
    return std::clamp<u64>(digits << shift, 1, most);
  }
  std::span<const u8> rest() const { return bytes_; }

 private:
  std::span<const u8> bytes_;
};

gpu::Limits limits_of(Fields& fields) {
  gpu::Limits limits;
  limits.max_buffer_size = align_up(fields.size(u64{1} << 40), 4);
  limits.max_storage_buffer_binding_size = align_up(fields.size(limits.max_buffer_size), 4);
  limits.max_compute_workgroups_per_dimension = u32(fields.size(65535));
  return limits;
}

engine::PlanOptions options_of(Fields& fields) {
  using graph::KvType;
  constexpr KvType types[] = {KvType::f16, KvType::f32, KvType::q8, KvType::q4};
  engine::PlanOptions options;
  options.context = u32(fields.size(1 << 24));
  options.kv = {types[fields.below(4)], types[fields.below(4)]};
  options.all_logits = fields.below(2) == 1;
  return options;
}

test::ModelSpec spec_of(Fields& fields) {
  constexpr const char* architectures[] = {"llama", "qwen2", "qwen3"};
  test::ModelSpec spec;
  spec.arch = architectures[fields.below(3)];
  spec.layers = 1 + fields.below(4);
  spec.width = u32(fields.size(1 << 24));
  spec.feed_forward = u32(fields.size(1 << 24));
  spec.vocab = u32(fields.size(1 << 24));
  spec.kv_heads = u32(fields.size(1 << 12));
  spec.heads = spec.kv_heads * u32(fields.size(1 << 12));
  spec.dim = 4 * (1 + fields.below(64));
  spec.rotated = std::min(spec.dim, 2 * (1 + fields.below(128)));
  spec.context = u32(fields.size(1 << 24));
  spec.tied = fields.below(2) == 0;
  spec.factors = fields.below(2) == 1;
  spec.bias = fields.below(2) == 1;
  // A format whose blocks do not fill the rows stands in no file.
  const auto format = [&](std::initializer_list<u32> widths) {
    const formats::Format& chosen = formats::table()[fields.below(u32(formats::table().size()))];
    const bool whole = std::ranges::all_of(widths, [&](u32 width) { return width % chosen.block_weights == 0; });
    return whole ? std::string(chosen.name) : "F16";
  };
  spec.matrix = format({spec.width, spec.feed_forward, spec.heads * spec.dim});
  spec.formats = {{"attn_v", format({spec.width})}, {"ffn_up", format({spec.width})}, {"output", format({spec.width})}};
  return spec;
}

void check_line(const std::string& text) { CHECK(!text.empty() && text.find('\n') == std::string::npos); }

void check_range(const engine::GpuPlan& plan, const engine::Range& range, u64 most) {
  CHECK(range.size > 0 && range.size <= most && range.offset % engine::binding_alignment == 0);
  CHECK(range.offset + align_up(range.size, 4) <= align_up(plan.buffers[range.buffer].size, 4));
}

void check_plan(const engine::GpuPlan& plan, const graph::Graph& graph, const gpu::Limits& limits) {
  CHECK(!plan.prefill.empty() && plan.decode.empty() == !graph.causal());
  CHECK(plan.greedy.empty() == plan.options.hidden && plan.sampling.empty() == plan.options.hidden);
  for (const gpu::BufferDesc& buffer : plan.buffers) CHECK(buffer.size > 0 && buffer.size <= limits.max_buffer_size);
  for (const auto* program :
       {&plan.prefill, &plan.decode, &plan.blocks, &plan.adjusted_blocks, &plan.greedy, &plan.sampling}) {
    for (const engine::Dispatch& dispatch : *program) {
      CHECK(dispatch.bindings.size() == plan.pipelines[dispatch.kernel.pipeline].bindings.size());
      for (const engine::Range& range : dispatch.bindings) {
        check_range(plan, range, limits.max_storage_buffer_binding_size);
      }
    }
  }
}

// Prefill and decode on the device that forgives nothing; it holds no bytes, so that any size will do.
void run(const models::Model& model, engine::GpuPlan plan, const gpu::Limits& limits) {
  const u32 context = plan.options.context;
  const bool scores = plan.options.all_logits;
  const MemoryUse planned = engine::planned_memory(plan);
  gpu::NullDevice device({.limits = limits});
  engine::GpuRunner runner(model, std::move(plan), device);
  CHECK(runner.weights_done() && runner.pump() && runner.ready());
  CHECK(runner.allocated() == planned);
  if (scores) return;
  runner.start({.tokens = std::vector<u32>(std::min(context, 50u)), .count = 2, .sampling = {.temperature = 1}});
  for (u32 pumps = 0; !runner.finished() && pumps < 200; ++pumps) {
    CHECK(runner.pump());
    for (engine::Sampled sampled; runner.next(sampled);) {
    }
  }
  CHECK(runner.finished() && device.violations().empty());
}

void plan(const files::Gguf& file, const models::Model& model, const engine::PlanOptions& options,
          const gpu::Limits& limits) {
  const auto fused = graph::fuse(model.graph);
  if (!fused) check_line(fused.error().message);
  const MemoryUse on_cpu =
      engine::CpuRunner::plan(model, options.context, options.kv, options.all_logits, graph::Activations::q8);
  CHECK(on_cpu.total() > 0 && engine::WeightMemory(file, model.graph).bytes() > 0);
  auto plan = engine::plan_gpu(
      model, options, limits, {.shader_f16 = true, .subgroups = true, .subgroup_min_size = 8, .subgroup_max_size = 32});
  if (!plan) return check_line(plan.error().message);
  CHECK(fused.has_value());
  check_plan(*plan, model.graph, limits);
  if (engine::StagedLoader::check(model.graph) && options.context <= 1 << 20) run(model, std::move(*plan), limits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Fields fields(data, size);
  const bool whole_header = fields.below(2) == 1;
  const gpu::Limits limits = limits_of(fields);
  const engine::PlanOptions options = options_of(fields);
  std::vector<u8> header(fields.rest().begin(), fields.rest().end());
  if (!whole_header) header = test::model_header(spec_of(fields));
  const auto parsed = files::parse_gguf(header, std::nullopt);
  if (!parsed || !parsed->gguf) return 0;
  const auto model = models::read_model(*parsed->gguf);
  if (!model) return check_line(model.error().message), 0;
  plan(*parsed->gguf, *model, options, limits);
  return 0;
}
