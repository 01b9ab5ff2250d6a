// Which operation tests there are. They are run by tests/kernels, and by pronk test-ops.
#include "engine/op_list.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "gpu/null.h"

namespace pronk::engine {
namespace {

TEST(OpList, QuickHasEveryOperationAndFormat) {
  const gpu::NullDevice device({});
  std::set<std::pair<std::string, std::string>> seen;
  const Status status = each_op({.quick = true}, device, [&](const auto& make) -> Status {
    const OpCase c = make();
    EXPECT_FALSE(c.steps.empty()) << c.name();
    EXPECT_FALSE(c.answers.empty()) << c.name();
    seen.emplace(c.op, c.format);
    return {};
  });
  ASSERT_TRUE(status) << status.error().message;
  for (const formats::Format& format : formats::table()) {
    for (const char* op : {"embed", "matvec", "matvec-batch", "gemm", "matmul-experts"})
      EXPECT_TRUE(seen.contains({op, std::string(format.name)})) << op << " " << format.name;
  }
  for (const graph::KvType k : kv_types) {
    for (const graph::KvType v : kv_types) {
      std::string type(kv_name(k));
      if (v != k) type += "/" + std::string(kv_name(v));
      EXPECT_TRUE(seen.contains({"attention", type})) << type;
      EXPECT_TRUE(seen.contains({"attention-decode", type})) << type;
    }
  }
  EXPECT_TRUE(seen.contains({"rotate_store", "f16"}));
  EXPECT_TRUE(seen.contains({"store_kv", "f16"}));
  for (const char* op : {"norm", "map", "position_scale", "rope", "take_columns", "join_columns", "route",
                         "weighted_sum", "keep_largest", "conv1d", "delta_rule", "scan", "adjust_logits", "sampling"})
    EXPECT_TRUE(seen.contains({op, "f32"})) << op;
}

}  // namespace
}  // namespace pronk::engine
