// Runs operation cases on the machine's device and compares with their answers.
#pragma once

#include "engine/op_case.h"
#include "support/kernel_runner.h"

namespace pronk::test {

class OpCaseTest : public KernelTest {
 protected:
  static void check(engine::OpCase c) {
    SCOPED_TRACE(c.name());
    std::vector<KernelRunner::Step> steps;
    for (const engine::OpStep& step : c.steps) {
      steps.push_back({step.kernel, step.memory, step.grid});
      EXPECT_LE(std::count(step.kernel.bindings.begin(), step.kernel.bindings.end(), gpu::BindingType::storage_read) +
                    std::count(step.kernel.bindings.begin(), step.kernel.bindings.end(),
                               gpu::BindingType::storage_read_write),
                8)
          << step.kernel.label;
    }
    ASSERT_TRUE(runner().run(c.memory, steps));
    const engine::OpResult result = engine::check_answers(c, c.memory);
    EXPECT_LE(result.error, c.tolerance) << result.kernels;
  }
};

}  // namespace pronk::test
