// What is said of classes of adapters: names only what there is, and holds where nothing was measured.
#include "kernels/adapter_classes.h"

#include <gtest/gtest.h>

#include "gpu/null.h"
#include "support/engine_driver.h"
#include "support/engine_model.h"

namespace pronk::kernels {
namespace {

// Kernels of a pattern or key: those with a name that it can be about.
std::vector<TunedKernel> kernels_of(std::string_view key) {
  std::vector<TunedKernel> found;
  each_enumerator(TunedKernel(), [&](const char* name, TunedKernel kernel) {
    if (key.starts_with(std::string(name) + " ")) found.push_back(kernel);
  });
  return found;
}

const AdapterClass& some_class() { return adapter_classes().front(); }
gpu::AdapterInfo adapter_of(const AdapterClass& each) {
  return {.vendor = "Acme", .description = "the " + std::string(each.adapters.front()) + " 3000"};
}

TEST(AdapterClasses, NameOnlyWhatThereIs) {
  ASSERT_FALSE(adapter_classes().empty());
  for (const AdapterClass& each : adapter_classes()) {
    EXPECT_FALSE(each.choices.empty()) << each.name;
    for (const std::string_view word : each.adapters) EXPECT_GE(word.size(), 3u);  // not a part of any name
    for (const ClassChoice& choice : each.choices) {
      const auto kernels = kernels_of(choice.key);
      ASSERT_EQ(kernels.size(), 1u) << choice.key;
      bool found = false;
      for (u32 i = 0; i < candidate_count(kernels[0]); ++i)
        found = found || candidate_name(kernels[0], i) == choice.candidate;
      EXPECT_TRUE(found) << choice.key << ": " << choice.candidate;
      // A rounding that nobody has measured and nobody has asked for is none.
      EXPECT_FALSE(choice.candidate.ends_with("+int8") || choice.candidate.ends_with("+f16")) << choice.key;
    }
  }
}

TEST(AdapterClasses, AreFoundByAWordOfTheAdaptersName) {
  const AdapterClass& first = some_class();
  gpu::AdapterInfo adapter = adapter_of(first);
  EXPECT_EQ(adapter_class(adapter), &first);
  for (char& c : adapter.description) c = char(std::toupper(c));
  EXPECT_EQ(adapter_class(adapter), &first);
  EXPECT_EQ(adapter_class({.vendor = "acme", .device = "Anvil 3000"}), nullptr);
}

TEST(AdapterClasses, WhatWasMeasuredGoesBefore) {
  const AdapterClass& each = some_class();
  const ClassChoice& choice = each.choices.back();
  const TunedKernel kernel = kernels_of(choice.key).at(0);
  const std::string key = std::string(choice.key.substr(0, choice.key.find('*'))) + "F32 2x2";
  const auto name = [&](const std::shared_ptr<const Tuning>& tuning) {
    const auto found = tuning->find(kernel, key, gpu::Limits{}, {.subgroups = true});
    return found ? candidate_name(kernel, *found) : "";
  };
  ASSERT_TRUE(choice.key.ends_with("*"));
  EXPECT_EQ(name(with_class_choices(nullptr, adapter_of(each))), choice.candidate);
  auto measured = std::make_shared<Tuning>();
  u32 other = 0;
  while (candidate_name(kernel, other) == choice.candidate) ++other;
  measured->choose(key, candidate_name(kernel, other));
  EXPECT_EQ(name(with_class_choices(measured, adapter_of(each))), candidate_name(kernel, other));
  EXPECT_TRUE(measured->choices().size() == 1);  // what is written to files stays what was measured
  EXPECT_EQ(with_class_choices(measured, {.vendor = "acme"}), measured);
  EXPECT_EQ(with_class_choices(nullptr, {.vendor = "acme"}), nullptr);
}

// An engine takes them, and what the caller gives it goes before.
TEST(AdapterClasses, HoldInAnEngine) {
  const auto files = test::model_files({.arch = "qwen2", .context = 64, .matrix = "Q8_0"});
  const auto labels = [&](gpu::AdapterInfo info, std::shared_ptr<const Tuning> tuning = nullptr) {
    auto device = std::make_unique<gpu::NullDevice>(gpu::NullOptions{.info = std::move(info)});
    const gpu::NullDevice& null = *device;
    const auto engine = test::load(files, {.context = 64, .tuning = std::move(tuning)}, std::move(device));
    EXPECT_TRUE(engine);
    std::string all;
    for (u32 id = 1; engine && id <= null.counters().pipelines_created; ++id)
      all += null.pipeline(gpu::PipelineId(id)).desc.label + "\n";
    return all;
  };
  auto plain = std::make_shared<Tuning>();
  for (u32 kernel = 0; kernel < tuned_kernels; ++kernel) {
    each_enumerator(TunedKernel(), [&](const char* name, TunedKernel each) {
      if (each == TunedKernel(kernel))
        plain->fall_back(std::string(name) + " *", candidate_name(each, default_candidate(each, {})));
    });
  }
  const std::string unknown = labels({.vendor = "acme"});
  EXPECT_NE(labels(adapter_of(some_class())), unknown);
  EXPECT_EQ(labels(adapter_of(some_class()), plain), unknown);
}

}  // namespace
}  // namespace pronk::kernels
