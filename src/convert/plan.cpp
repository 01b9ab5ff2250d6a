#include "convert/plan.h"

#include <utility>

#include "base/check.h"

namespace pronk::convert {

Result<Plan> plan_of(const sources::Source& source) {
  Plan plan;
  PRONK_TRY(plan.gguf, source.header());
  files::GgufWriter writer;
  std::vector<Job> jobs;
  PRONK_OK(write_metadata(plan.gguf.metadata, source.tokenizer_files(), {}, writer));
  for (const files::TensorInfo& tensor : plan.gguf.tensors) {
    PRONK_TRY(Job job, job_of(tensor));
    writer.add_tensor(job.name, job.type, job.shape);
    jobs.push_back(std::move(job));
  }
  plan.head = writer.header();
  for (u64 i = 0; i < jobs.size(); ++i) {
    const u64 start = plan.head.size() + writer.tensor_offset(i);
    u64 at = start;
    for (Part& part : parts_of(*jobs[i].tensor)) {
      plan.offsets.push_back(at);
      plan.sizes.push_back(part.bytes());
      at += part.bytes();
      plan.parts.push_back(std::move(part));
    }
    CHECK(at == start + writer.tensor_bytes(i));
  }
  return plan;
}

}  // namespace pronk::convert
