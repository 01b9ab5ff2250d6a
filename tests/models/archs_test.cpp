// Engines on WebGPU against the expected logits and embeddings of one small model for each architecture: in prefill
// (chunks of 32) and token by token.
#include "support/archs.h"
#include "support/engine_driver.h"

namespace pronk::test {
namespace {

using namespace archs;

class GpuArchs : public testing::TestWithParam<std::size_t> {};

TEST_P(GpuArchs, AreAsExpected) {
  if (const auto device = gpu::create_native_device({}); !device) {
    ASSERT_TRUE(device.error().message.starts_with("no WebGPU adapter")) << device.error().message;
    GTEST_SKIP() << device.error().message;
  }
  const json& entry = index()["models"][GetParam()];
  const auto file = read_file(folder + std::string(entry["file"]));
  ASSERT_TRUE(file);
  const bool embeds = entry.contains("embedding");
  const auto pooling = graph::Pooling(entry["metadata"].value(std::string(entry["arch"]) + ".pooling_type", 0u));
  {
    const json& sequence = entry["sequences"].back();  // the longest
    SCOPED_TRACE(std::string(sequence["tag"]));
    const std::vector<u32> tokens = sequence["tokens"];
    const auto expected = read_floats(folder + std::string(sequence["file"]));
    for (const auto& [kv, key] : {std::pair{graph::KvType::f32, "f32"}, {graph::KvType::f16, "f16_kv"}}) {
      if (!sequence["tolerance"].contains(key)) continue;
      if (kv == graph::KvType::f16 && GetParam() % 4 != 0) continue;  // compiling kernels takes its time
      const double tolerance = sequence["tolerance"][key];
      const LoadOptions options{.context = sequence.value("n_ctx", u32(tokens.size())),
                                .kv = kv,
                                .scoring = true,
                                .embedding = embeds,
                                .self_test = kv == graph::KvType::f32};
      auto fresh = gpu::create_native_device({});
      ASSERT_TRUE(fresh);
      auto engine = load({std::vector<u8>(file->begin(), file->end())}, options, std::move(*fresh));
      ASSERT_TRUE(engine.has_value()) << engine.error().message;
      EXPECT_EQ((*engine)->planned(), (*engine)->allocated());
      for (const bool by_steps : {false, true}) {
        if (by_steps && embeds) continue;
        auto rows = score(**engine, tokens, by_steps);
        ASSERT_TRUE(rows.has_value()) << rows.error().message;
        if (embeds) *rows = pooled(pooling, *rows, u32(expected.size()));
        const double error = relative_error(*rows, expected);
        EXPECT_LE(error, tolerance) << key << (by_steps ? ", by steps" : ", prefill");
        printf("%s.%s, %s%s: %.1e\n", std::string(entry["name"]).c_str(), std::string(sequence["tag"]).c_str(), key,
               by_steps ? " by steps" : "", error);
      }
    }
  }
}

// Sanitizers make a driver's compiler slow: they see some of the models.
std::vector<std::size_t> some_models() {
  std::vector<std::size_t> numbers = numbers_of_models();
#if __has_feature(address_sanitizer)
  std::erase_if(numbers, [](std::size_t number) { return number % 8 != 0; });
#endif
  return numbers;
}

INSTANTIATE_TEST_SUITE_P(Models, GpuArchs, testing::ValuesIn(some_models()), name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GpuArchs);

}  // namespace
}  // namespace pronk::test
