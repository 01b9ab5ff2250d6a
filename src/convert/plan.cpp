#include "convert/plan.h"

namespace pronk::convert {

Result<Plan> plan_of(const sources::Source& source) {
  Plan plan;
  PRONK_TRY(plan.gguf, source.header());
  files::GgufWriter writer;
  PRONK_OK(write_metadata(plan.gguf.metadata, source.tokenizer_files(), {}, writer));
  for (const files::TensorInfo& tensor : plan.gguf.tensors) {
    PRONK_TRY(Job job, job_of(tensor));
    writer.add_tensor(job.name, job.type, job.shape);
    plan.jobs.push_back(std::move(job));
  }
  plan.head = writer.header();
  for (u64 i = 0; i < plan.jobs.size(); ++i) {
    plan.offsets.push_back(plan.head.size() + writer.tensor_offset(i));
    plan.sizes.push_back(writer.tensor_bytes(i));
  }
  return plan;
}

}  // namespace pronk::convert
