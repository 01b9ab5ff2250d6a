#include "wasm/ops.h"

#include <map>
#include <memory>
#include <optional>

#include "engine/op_list.h"
#include "engine/op_run.h"
#include "gpu/browser.h"
#include "wasm/json.h"

namespace pronk::wasm {
namespace {

using engine::OpCase;

class OpTests {
 public:
  explicit OpTests(std::unique_ptr<gpu::Device> device) : device_(std::move(device)) {}

  u32 choose(std::string op, std::string candidate, bool quick) {
    op_ = std::move(op), candidate_ = std::move(candidate), quick_ = quick;
    u32 count = 0;
    (void)each([&](const auto&) -> Status { return ++count, Status(); });
    return count;
  }

  Status start(u32 test) {
    if (run_) return fail("a test runs already");
    u32 number = 0;
    case_ = {};
    (void)each([&](const std::function<OpCase()>& make) -> Status {
      if (number++ != test) return {};
      case_ = make();
      return fail("found");  // ends it
    });
    if (case_.steps.empty()) return fail("there is no such test");
    row_ = JsonObject();
    row_.add("op", case_.op).add("format", case_.format).add("shape", case_.shape).add("variant", case_.variant);
    row_.add("tolerance", case_.tolerance);
    message_.clear();
    for (const engine::OpStep& step : case_.steps) {
      const auto [at, added] = pipelines_.try_emplace(step.kernel.label);
      if (!added) continue;
      at->second = device_->create_pipeline(step.kernel);
      labels_[u32(at->second)] = step.kernel.label;
      ++pending_;
    }
    run_.emplace(*device_);
    return {};
  }

  // Whether the test is over.
  bool pump() {
    for (gpu::Event event; device_->next_event(event);) take_in(event);
    if (pending_ > 0) return false;
    if (message_.empty() && !run_->running() && !read_) {
      for (const engine::OpStep& step : case_.steps) {
        if (pipelines_.at(step.kernel.label) == gpu::PipelineId::none) message_ = "a kernel was refused before";
      }
      if (message_.empty()) {
        std::vector<OpCase> cases;
        cases.push_back(std::move(case_));
        run_->start(std::move(cases), [this](const auto& kernel) { return pipelines_.at(kernel.label); }, ++ticket_);
        return false;
      }
    }
    if (message_.empty() && !read_) return false;
    if (read_) {
      const engine::OpResult result = run_->result(0);
      row_.add("error", result.error);
      if (!(result.error <= run_->cases()[0].tolerance)) message_ = "wrong: " + result.kernels;
    }
    row_.add("message", message_);
    run_.reset();
    read_ = false;
    return true;
  }

  std::string row() const { return row_.str(); }

 private:
  Status each(const engine::VisitOp& visit) {
    return engine::each_op({.op = op_, .candidate = candidate_, .quick = quick_}, *device_, visit);
  }

  void take_in(const gpu::Event& event) {
    using Kind = gpu::Event::Kind;
    if (event.kind == Kind::pipeline_ready || event.kind == Kind::pipeline_failed) --pending_;
    if (event.kind == Kind::pipeline_failed) pipelines_[labels_[event.id]] = gpu::PipelineId::none;
    if (event.kind == Kind::read_done && run_ && run_->running()) {
      run_->finish(event.bytes);
      read_ = true;
    }
    if (!event.message.empty()) message_ = event.message;
  }

  std::unique_ptr<gpu::Device> device_;
  std::string op_, candidate_;
  bool quick_ = false;
  std::map<std::string, gpu::PipelineId> pipelines_;  // by label; none: it was refused
  std::map<u32, std::string> labels_;
  u32 pending_ = 0;  // pipelines that compile
  u32 ticket_ = 0;
  OpCase case_;
  std::optional<engine::OpRun> run_;
  bool read_ = false;  // what the test gave
  JsonObject row_;
  std::string message_;
};

std::optional<OpTests> tests;

}  // namespace
}  // namespace pronk::wasm

using namespace pronk;
using namespace pronk::wasm;

i32 ops_choose(const u8* op, u32 op_length, const u8* candidate, u32 candidate_length, i32 quick) {
  if (!tests) {
    auto device = gpu::make_browser_device();
    if (!device) return failed(device.error(), ErrorCode::unsupported);
    tests.emplace(std::move(*device));
  }
  return i32(tests->choose(std::string(text_of(op, op_length)), std::string(text_of(candidate, candidate_length)),
                           quick != 0));
}

i32 ops_start(u32 test) {
  if (!tests) return misused("no tests were chosen");
  const Status status = tests->start(test);
  return status ? 0 : failed(status.error(), ErrorCode::bad_argument);
}

i32 ops_pump() {
  if (!tests) return misused("no tests were chosen");
  if (!tests->pump()) return 0;
  give(tests->row());
  return 1;
}
