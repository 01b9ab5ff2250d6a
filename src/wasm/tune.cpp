#include "wasm/tune.h"

#include "tune/tuner.h"
#include "tune/tuning_file.h"
#include "wasm/instance.h"
#include "wasm/json.h"

namespace pronk::wasm {
namespace {

std::unique_ptr<tune::Tuner> tuner;

std::string as_text(const std::vector<tune::Verdict>& verdicts) {
  std::string lines;
  for (const tune::Verdict& v : verdicts) {
    if (v.chosen.empty() || v.standard_us == 0) continue;
    lines += v.key + '\t' + v.standard + '\t' + v.chosen + '\t' + std::to_string(v.standard_us) + '\t' +
             std::to_string(v.chosen_us) + '\n';
  }
  return lines;
}

Status start(const LoadOptions& options, double seconds, bool missing) {
  if (!instance.headers_done || instance.engine || tuner) return fail(ErrorCode::internal, "not the time to measure");
  PRONK_TRY(gpu::Device * device, choose_device(device_gpu));
  const kernels::Tuning known = missing && instance.tuning ? *instance.tuning : kernels::Tuning();
  PRONK_TRY(tuner, tune::Tuner::create(*instance.model, options, *device, seconds, known));
  return {};
}

std::string outcome() {
  kernels::Tuning all = instance.tuning ? *instance.tuning : kernels::Tuning();
  for (const auto& [key, candidate] : tuner->tuning().choices()) all.choose(key, candidate);
  JsonObject json;
  json.add("text", std::string_view(tune::tuning_text(all, instance.device->info())));
  json.add("problems", u64(tuner->problems().size()));
  json.add("choices", std::string_view(as_text({tuner->verdicts().begin(), tuner->verdicts().end()})));
  return json.str();
}

}  // namespace
}  // namespace pronk::wasm

using namespace pronk;
using namespace pronk::wasm;

i32 pronk_tune(u32 context, i32 keys, i32 values, double budget, i32 embeddings, double seconds, i32 missing) {
  const Status status = start(load_options(context, keys, values, budget, embeddings, 1), seconds, missing != 0);
  return status ? 0 : failed(status.error(), ErrorCode::unsupported);
}

i32 pronk_tune_pump() {
  if (!tuner) return misused("nothing is measured");
  const Status status = tuner->pump();
  if (!status) return failed(status.error(), ErrorCode::internal);
  return tuner->done() ? pronk_tune_end() : 0;
}

i32 pronk_tune_end() {
  if (!tuner) return misused("nothing is measured");
  give(outcome());
  tuner.reset();
  return 1;
}
