// Every candidate of every tuned kernel that the device runs, against the reference in double precision.
#include <cmath>
#include <cstring>
#include <regex>
#include <set>

#include "formats/additive.h"
#include "support/op_case_runner.h"
#include "support/wgsl_sizes.h"

namespace pronk::test {
namespace {

using engine::MatMulKernel;
using graph::Epilogue;
using graph::KvType;
using kernels::TunedKernel;

constexpr TunedKernel all_kernels[] = {TunedKernel::matvec, TunedKernel::matvec_batch, TunedKernel::gemm,
                                       TunedKernel::attention_decode, TunedKernel::attention_prefill};
static_assert(std::size(all_kernels) == kernels::tuned_kernels);
constexpr gpu::Features all_features{
    .shader_f16 = true, .subgroups = true, .integer_dot_product = true, .subgroup_min_size = 8};

class Candidates : public OpCaseTest {
 protected:
  static bool runs(TunedKernel kernel, u32 candidate) {
    return kernels::runs(kernel, candidate, runner().device().limits(), runner().device().features());
  }
  static bool runs(TunedKernel kernel, u32 candidate, const formats::Format& format) {
    return kernels::runs(kernel, candidate, runner().device().limits(),
                         kernels::features_for(format, runner().device().features()));
  }
  static bool int8(TunedKernel kernel, u32 candidate) {
    return kernels::candidate_name(kernel, candidate).ends_with("+int8");
  }
  static u32 gemm_named(std::string_view name) {
    u32 candidate = 0;
    while (kernels::candidate_name(TunedKernel::gemm, candidate) != name) ++candidate;
    return candidate;
  }
  // The first GEMM by halves.
  static u32 of_halves() {
    u32 candidate = 0;
    while (!kernels::gemm_tiles()[candidate].f16) ++candidate;
    return candidate;
  }

  // A plain format and one with a scale for sixteen weights, and in turn the two kinds that do everything.
  static void check_products(MatMulKernel kernel, u32 tokens) {
    const TunedKernel tuned = kernels::tuned(kernel);
    u32 round = 0;
    for (u32 candidate = 0; candidate < kernels::candidate_count(tuned); ++candidate, ++round) {
      for (const char* format : {"F32", "Q6_K"}) {
        const formats::Format& f = *formats::find(format);
        const kernels::MatMulKind kinds[] = {{&f, true, false, Epilogue::gated}, {&f, false, true, Epilogue::add}};
        if (!runs(tuned, candidate, f)) continue;
        check(engine::matmul_case({.kernel = kernel,
                                   .kind = kinds[round % 2],
                                   .rows = 133,
                                   .cols = u32(align_up(1100, f.block_weights)),
                                   .tokens = tokens,
                                   .padding = 3,
                                   .candidate = candidate},
                                  runner().device().limits(), runner().device().features(), round));
        ++round;
      }
    }
  }

  static engine::AttentionSpec attention(const kernels::HeadShape& heads, u32 tokens, graph::KvTypes kv) {
    return {.heads = heads,
            .kv = kv,
            .scale = 0.25f / std::sqrt(float(heads.key)),
            .rotated = heads.key,
            .tokens = tokens,
            .decode_tile = kernels::attention_tile(heads, 1, true, runner().device().features())};
  }
};

// Under sanitizers the driver compiles for minutes, and other tests run what is chosen.
#if !__has_feature(address_sanitizer)
TEST_F(Candidates, MatVec) { check_products(MatMulKernel::matvec, 1); }
TEST_F(Candidates, MatVecOfASmallBatch) { check_products(MatMulKernel::batch, 7); }
TEST_F(Candidates, Gemm) { check_products(MatMulKernel::gemm, 77); }

constexpr kernels::HeadShape some_heads[] = {{.query = 8, .kv = 2, .key = 64, .value = 64},
                                             {.query = 14, .kv = 2, .key = 80, .value = 80}};

TEST_F(Candidates, AttentionOfPrefill) {
  for (const kernels::HeadShape& heads : some_heads) {
    for (u32 i = 0; i < kernels::candidate_count(TunedKernel::attention_prefill); ++i) {
      engine::AttentionSpec spec = attention(heads, 70, i % 2 ? KvType::f16 : KvType::f32);
      spec.prefill_tile = kernels::attention_tile(heads, spec.tokens, false, i);
      const bool broadcasts = kernels::attention_tiles(false)[i].broadcasts;  // which ops.test.ts of web/ runs
      if (broadcasts && !runs(TunedKernel::attention_prefill, i)) continue;
      ASSERT_TRUE(runs(TunedKernel::attention_prefill, i));
      check(engine::attention_case(spec, i));
    }
  }
}

TEST_F(Candidates, AttentionOfDecode) {
  for (const kernels::HeadShape& heads : some_heads) {
    for (u32 i = 0; i < kernels::candidate_count(TunedKernel::attention_decode); ++i) {
      engine::AttentionSpec spec = attention(heads, 70, i % 2 ? KvType::f16 : KvType::f32);
      spec.decode = true, spec.attend = false;
      spec.decode_tile = kernels::attention_tile(heads, 1, true, i);
      EXPECT_LE(spec.decode_tile.splits, kernels::most_splits);
      EXPECT_GT(spec.decode_tile.splits, 1u);  // else there would be no combine to replace by another's
      if (!runs(TunedKernel::attention_decode, i)) continue;
      check(engine::attention_case(spec, i));
    }
  }
}

// Lanes pass numbers to all others of their subgroup.
TEST_F(Candidates, LanesNeedSubgroupsThatHaveThemAll) {
  u32 of_lanes = 0;
  for (const TunedKernel kernel : all_kernels) {
    for (u32 i = 0; i < kernels::candidate_count(kernel); ++i) {
      const bool attends = kernel == TunedKernel::attention_decode || kernel == TunedKernel::attention_prefill;
      u32 lanes = 0;
      if (attends) {
        const auto& tile = kernels::attention_tiles(kernel == TunedKernel::attention_decode)[i];
        lanes = tile.broadcasts ? tile.threads : 0;
      } else if (const auto tile = kernels::gemm_tile(kernel, i)) {
        lanes = tile->lanes;
      } else if (kernel == TunedKernel::matvec && kernels::matvec_tiles(false)[i].blocks == 0) {
        lanes = kernels::matvec_tiles(false)[i].lanes;
      }
      if (lanes == 0) continue;
      ++of_lanes;
      EXPECT_TRUE(kernels::runs(kernel, i, {}, {.subgroups = true, .subgroup_min_size = lanes}));
      EXPECT_FALSE(kernels::runs(kernel, i, {}, {.subgroups = true, .subgroup_min_size = lanes / 2}));
      EXPECT_FALSE(kernels::runs(kernel, i, {}, {.subgroup_min_size = lanes}));
    }
  }
  EXPECT_EQ(of_lanes, 10u);  // two of each kernel
}

// A GEMM by matrices of subgroups needs that very size of matrices, and subgroups that are not larger than it takes
// them to be; like the GEMM by halves it is never the default.
TEST_F(Candidates, MatricesNeedTheirSizeAndSubgroupsThatAreNotLarger) {
  u32 of_matrices = 0;
  for (u32 i = 0; i < kernels::candidate_count(TunedKernel::gemm); ++i) {
    const kernels::GemmTile& tile = kernels::gemm_tiles()[i];
    if (tile.matrix == 0) continue;
    ++of_matrices;
    const gpu::Features features{
        .shader_f16 = true, .subgroups = true, .subgroup_max_size = tile.subgroup, .subgroup_matrix = tile.matrix};
    const auto runs_with = [&](auto change) {
      gpu::Features changed = features;
      change(changed);
      return kernels::runs(TunedKernel::gemm, i, {}, changed);
    };
    EXPECT_TRUE(kernels::runs(TunedKernel::gemm, i, {}, features));
    EXPECT_TRUE(runs_with([](gpu::Features& f) { f.subgroup_max_size /= 4; }));
    EXPECT_FALSE(runs_with([](gpu::Features& f) { f.subgroup_max_size *= 2; }));
    EXPECT_FALSE(runs_with([](gpu::Features& f) { f.subgroup_matrix *= 2; }));
    EXPECT_FALSE(runs_with([](gpu::Features& f) { f.subgroup_matrix = 0; }));
    EXPECT_FALSE(runs_with([](gpu::Features& f) { f.shader_f16 = false; }));
    EXPECT_NE(kernels::default_candidate(TunedKernel::gemm, features), i);
  }
  EXPECT_EQ(of_matrices, 6u);
}

// Only of formats whose weights are bytes, and of these all.
TEST_F(Candidates, IntegerProductsOfEveryFormat) {
  u32 round = 0, without = 0;
  for (const formats::Format& format : formats::table()) {
    const bool bytes = kernels::features_for(format, {.integer_dot_product = true}).integer_dot_product;
    EXPECT_FALSE(kernels::features_for(format, {}).integer_dot_product);
    without += !bytes;
    if (!bytes) continue;
    for (const MatMulKernel kernel : {MatMulKernel::matvec, MatMulKernel::batch, MatMulKernel::gemm}) {
      const TunedKernel tuned = kernels::tuned(kernel);
      u32 candidate = 0;
      while (!int8(tuned, candidate) || !runs(tuned, candidate, format)) ++candidate;
      const kernels::MatMulKind kinds[] = {{&format, true, false, Epilogue::gated},
                                           {&format, false, true, Epilogue::add}};
      check(engine::matmul_case({.kernel = kernel,
                                 .kind = kinds[round % 2],
                                 .rows = 70,
                                 .cols = u32(align_up(300, format.block_weights)),
                                 .tokens = kernel == MatMulKernel::matvec ? 1u : 6u,
                                 .candidate = candidate},
                                runner().device().limits(), runner().device().features(), round));
      ++round;
    }
  }
  EXPECT_GT(round, 50u);
  EXPECT_EQ(without, 4u);  // floats, and those from a table of floats
}

// By floats, bytes and halves: no part begins within a block, and the last parts have nothing.
TEST_F(Candidates, SplitsOfEveryFormat) {
  u32 round = 0;
  for (const formats::Format& format : formats::table()) {
    const kernels::MatMulKind kinds[] = {{&format, true, false, Epilogue::gated},
                                         {&format, false, true, Epilogue::add}};
    for (const char* name : {"64x128/4", "64x128/4+int8", "64x128/4+f16"}) {
      if (!runs(TunedKernel::gemm, gemm_named(name), format)) continue;
      check(engine::matmul_case({.kernel = MatMulKernel::gemm,
                                 .kind = kinds[round % 2],
                                 .rows = 70,
                                 .cols = u32(align_up(round % 5 == 0 ? 20 : 600, format.block_weights)),
                                 .tokens = 6,
                                 .padding = 3,
                                 .candidate = gemm_named(name)},
                                runner().device().limits(), runner().device().features(), round));
      ++round;
    }
  }
}

TEST_F(Candidates, HalvesOfEveryFormat) {
  if (!runs(TunedKernel::gemm, of_halves())) GTEST_SKIP() << "the device has no f16";
  u32 round = 0;
  for (const formats::Format& format : formats::table()) {
    const kernels::MatMulKind kinds[] = {{&format, true, false, Epilogue::gated},
                                         {&format, false, true, Epilogue::add}};
    check(engine::matmul_case({.kernel = MatMulKernel::gemm,
                               .kind = kinds[round % 2],
                               .rows = 70,
                               .cols = u32(align_up(300, format.block_weights)),
                               .tokens = round % 3 == 0 ? 40u : 6u,
                               .candidate = of_halves() + round % 2},
                              runner().device().limits(), runner().device().features(), round));
    ++round;
  }
}

// A power of two in x is one in y, however far from what halves hold.
TEST_F(Candidates, HalvesOfLargeAndSmallActivations) {
  if (!runs(TunedKernel::gemm, of_halves())) GTEST_SKIP() << "the device has no f16";
  const formats::Format& format = *formats::find("Q8_0");
  for (const float power : {1.0f, 0x1p60f, 0x1p-60f}) {
    engine::OpCase c = engine::matmul_case({.kernel = MatMulKernel::gemm,
                                            .kind = {&format},
                                            .rows = 9,
                                            .cols = 96,
                                            .tokens = 20,
                                            .candidate = of_halves()},
                                           runner().device().limits(), runner().device().features(), 1);
    const engine::OpStep& step = c.steps[0];
    Bytes& x = c.memory[step.memory[4]];
    std::vector<float> floats = as<float>(x);
    for (float& v : floats) v *= power;
    x = bytes_of(floats);
    ASSERT_TRUE(runner().run(c.memory, {{step.kernel, step.memory, step.grid}}));
    for (u32 i = 0; i < c.answers[0].values.size(); ++i) {
      if (c.answers[0].match[i] == engine::OpAnswer::Match::near) c.answers[0].values[i] *= power;
    }
    EXPECT_LE(engine::check_answers(c, c.memory).error, c.tolerance) << power;
  }
}

// Weights so small that halves would keep few of their bits, or none, are lifted first.
TEST_F(Candidates, HalvesOfSmallWeights) {
  constexpr float power = 0x1p-15f;
  const formats::Format& format = *formats::find("F32");
  u32 checked = 0;
  for (u32 i = 0; i < kernels::candidate_count(TunedKernel::gemm); ++i) {
    const kernels::GemmTile& tile = kernels::gemm_tiles()[i];
    if ((!tile.f16 && tile.matrix == 0) || !runs(TunedKernel::gemm, i)) continue;
    engine::OpCase c = engine::matmul_case(
        {.kernel = MatMulKernel::gemm, .kind = {&format}, .rows = 9, .cols = 96, .tokens = 20, .candidate = i},
        runner().device().limits(), runner().device().features(), 1);
    const engine::OpStep& step = c.steps[0];
    for (const u32 binding : {2u, 4u}) {  // the weight, and activations as much larger
      Bytes& bytes = c.memory[step.memory[binding]];
      std::vector<float> floats = as<float>(bytes);
      for (float& v : floats) v *= binding == 2 ? power : 1 / power;
      bytes = bytes_of(floats);
    }
    for (const engine::OpStep& each : c.steps)
      ASSERT_TRUE(runner().run(c.memory, {{each.kernel, each.memory, each.grid}}));
    EXPECT_LE(engine::check_answers(c, c.memory).error, c.tolerance) << kernels::candidate_name(TunedKernel::gemm, i);
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "the device has no f16";
}
#endif

TEST_F(Candidates, TheDefaultRunsEverywhere) {
  for (const TunedKernel kernel : all_kernels) {
    for (const bool subgroups : {false, true}) {
      const gpu::Features features{.shader_f16 = true, .subgroups = subgroups, .integer_dot_product = true};
      const u32 candidate = kernels::default_candidate(kernel, features);
      EXPECT_TRUE(kernels::runs(kernel, candidate, {}, features));
      EXPECT_TRUE(kernels::runs(kernel, candidate, {}, {.subgroups = subgroups}));
    }
  }
}

// As many as leave room for twelve subgroups a SIMD, but eight where keys are longer.
TEST_F(Candidates, QueriesOfAPrefillShareWorkgroupMemory) {
  for (const auto& [width, queries] : {std::pair{64u, 16u}, {80u, 8u}, {128u, 8u}, {256u, 8u}, {512u, 4u}}) {
    const kernels::HeadShape heads{.query = 32, .kv = 8, .key = width, .value = width};
    EXPECT_EQ(kernels::attention_tile(heads, 256, false, gpu::Features{}).vectors, queries) << width;
  }
}

TEST_F(Candidates, LimitsAndFeaturesFilter) {
  gpu::Limits small;
  small.max_compute_invocations_per_workgroup = 64;
  const gpu::Features subgroups{.subgroups = true};
  for (const TunedKernel kernel : all_kernels) {
    std::set<std::string> names;
    u32 plain = 0, with_subgroups = 0, few_threads = 0, with_integers = 0, with_halves = 0;
    for (u32 i = 0; i < kernels::candidate_count(kernel); ++i) {
      EXPECT_TRUE(names.insert(kernels::candidate_name(kernel, i)).second) << kernels::candidate_name(kernel, i);
      plain += kernels::runs(kernel, i, {}, {});
      with_subgroups += kernels::runs(kernel, i, {}, subgroups);
      few_threads += kernels::runs(kernel, i, small, subgroups);
      with_integers += kernels::runs(kernel, i, {}, {.integer_dot_product = true});
      with_halves += kernels::runs(kernel, i, {}, {.shader_f16 = true});
    }
    EXPECT_GT(plain, 1u);
    EXPECT_LT(few_threads, with_subgroups);
    const bool matvec = kernel == TunedKernel::matvec || kernel == TunedKernel::matvec_batch;
    if (matvec || kernel == TunedKernel::attention_decode) EXPECT_LT(plain, with_subgroups);
    if (matvec) EXPECT_LT(plain, with_integers);
    if (kernel == TunedKernel::gemm) EXPECT_LT(plain, with_halves);
  }
  // 256 rows of 32 numbers take 32 KiB.
  gpu::Limits large;
  large.max_compute_workgroup_storage_size = 49152;
  const auto gemms = [](const gpu::Limits& limits) {
    u32 count = 0;
    for (u32 i = 0; i < kernels::candidate_count(TunedKernel::gemm); ++i)
      count += kernels::runs(TunedKernel::gemm, i, limits, {});
    return count;
  };
  EXPECT_LT(gemms({}), gemms(large));
}

// Splitting k is for measured choices alone; apart from that a tile with splits is as the same tile without.
TEST_F(Candidates, SplitsAreNeverTheDefault) {
  u32 with_splits = 0;
  for (u32 i = 0; i < kernels::candidate_count(TunedKernel::gemm); ++i) {
    kernels::GemmTile tile = kernels::gemm_tiles()[i];
    if (tile.splits == 1) continue;
    ++with_splits;
    for (const gpu::Features& features : {gpu::Features{}, all_features})
      EXPECT_NE(kernels::default_candidate(TunedKernel::gemm, features), i);
    const std::string name = kernels::candidate_name(TunedKernel::gemm, i), splits = "/" + std::to_string(tile.splits);
    const std::size_t at = name.find(splits);
    ASSERT_NE(at, name.npos) << name;
    const u32 whole = gemm_named(std::string(name).erase(at, splits.size()));
    EXPECT_EQ(kernels::gemm_tiles()[whole].splits, 1u);
    EXPECT_EQ(kernels::runs(TunedKernel::gemm, i, {}, all_features),
              kernels::runs(TunedKernel::gemm, whole, {}, all_features));
  }
  EXPECT_EQ(with_splits, 8u);
}

// The GEMM that passes activations from lane to lane: lanes that are not there have none. One pipeline serves any
// number of tokens above one.
TEST_F(Candidates, TheGemmOfLanesServesAllPrompts) {
  const kernels::MatMulKind kind{formats::find("Q4_0"), true, false, Epilogue::gated};
  std::set<std::string> texts;
  for (const MatMulKernel kernel : {MatMulKernel::batch, MatMulKernel::gemm}) {
    const TunedKernel tuned = kernels::tuned(kernel);
    u32 found = 0;
    for (u32 i = 0; i < kernels::candidate_count(tuned); ++i) {
      const auto tile = kernels::gemm_tile(tuned, i);
      if (!tile || tile->lanes == 0) continue;
      ++found;
      for (const u32 least : {0u, 4u, 8u, 64u}) {
        EXPECT_EQ(kernels::runs(tuned, i, {}, {.subgroups = true, .subgroup_min_size = least}), least >= tile->lanes);
      }
      EXPECT_FALSE(kernels::runs(tuned, i, {}, {.subgroups = false, .subgroup_min_size = 8}));
      const gpu::PipelineDesc pipeline = kernels::matmul_pipeline(kernel, kind, i);
      texts.insert(pipeline.label + pipeline.wgsl);
    }
    EXPECT_EQ(found, 2u);
  }
  EXPECT_EQ(texts.size(), 2u);
}

// A kernel's fragments have no name in common with a format's, of which no device here may run every one.
TEST_F(Candidates, NoFunctionIsThereTwice) {
  std::vector<const formats::Format*> all{formats::find_additive(24, 2, 8), formats::find_additive(25, 1, 8)};
  for (const formats::Format& format : formats::table()) all.push_back(&format);
  const std::regex function("fn ([a-z_0-9]+)\\(");
  for (const formats::Format* format : all) {
    for (const MatMulKernel kernel : {MatMulKernel::matvec, MatMulKernel::batch, MatMulKernel::gemm}) {
      const TunedKernel tuned = kernels::tuned(kernel);
      const gpu::Features features = kernels::features_for(*format, all_features);
      for (u32 i = 0; i < kernels::candidate_count(tuned); ++i) {
        if (!kernels::runs(tuned, i, {}, features)) continue;
        const std::string text = kernels::matmul_pipeline(kernel, {format, true}, i).wgsl;
        std::set<std::string> names;
        for (std::sregex_iterator at(text.begin(), text.end(), function), end; at != end; ++at) {
          EXPECT_TRUE(names.insert((*at)[1]).second)
              << (*at)[1] << " of " << format->name << ", " << kernels::candidate_name(tuned, i);
        }
        EXPECT_GT(names.size(), 5u);
      }
    }
  }
}

// A candidate that is said to run within the limits that every device has does, as its text tells.
TEST_F(Candidates, TextsKeepToTheLimits) {
  const gpu::Limits limits;
  u32 checked = 0, refused = 0;
  for (const MatMulKernel kernel : {MatMulKernel::matvec, MatMulKernel::batch, MatMulKernel::gemm}) {
    const TunedKernel tuned = kernels::tuned(kernel);
    for (u32 i = 0; i < kernels::candidate_count(tuned); ++i) {
      const kernels::MatMulKind kind{formats::find("IQ4_NL"), true, false, Epilogue::gated};
      const auto use = workgroup_use(kernels::matmul_pipeline(kernel, kind, i).wgsl);
      ASSERT_TRUE(use) << kernels::candidate_name(tuned, i);
      gpu::Features features = all_features;
      if (kernel == MatMulKernel::gemm) {
        features.subgroup_matrix = kernels::gemm_tiles()[i].matrix;
        features.subgroup_max_size = kernels::gemm_tiles()[i].subgroup;
      }
      const bool runs = kernels::runs(tuned, i, limits, features);
      const bool fits = use->bytes <= limits.max_compute_workgroup_storage_size &&
                        use->threads <= limits.max_compute_invocations_per_workgroup;
      EXPECT_EQ(runs, fits) << kernels::candidate_name(tuned, i) << ": " << use->bytes << " bytes, " << use->threads;
      ++checked, refused += !runs;
    }
  }
  EXPECT_GT(checked, 30u);
  EXPECT_GT(refused, 0u);
}

// Rounding hides no infinity and no NaN, which say that a model is damaged.
TEST_F(Candidates, ProductsOfDamagedActivations) {
  const formats::Format& format = *formats::find("Q8_0");
  u32 integer = 0;
  while (!int8(TunedKernel::matvec, integer) || !runs(TunedKernel::matvec, integer)) ++integer;
  const std::pair<MatMulKernel, u32> rounding[] = {{MatMulKernel::matvec, integer}, {MatMulKernel::gemm, of_halves()}};
  for (const auto& [kernel, candidate] : rounding) {
    if (!runs(kernels::tuned(kernel), candidate)) continue;
    for (const float damaged : {INFINITY, -INFINITY, NAN}) {
      engine::OpCase c = engine::matmul_case(
          {.kernel = kernel, .kind = {&format}, .rows = 1, .cols = 32, .tokens = 1, .candidate = candidate},
          runner().device().limits(), runner().device().features(), 1);
      const engine::OpStep& step = c.steps[0];
      std::memcpy(&c.memory[step.memory[4]][(8 + 5) * sizeof damaged], &damaged, sizeof damaged);
      ASSERT_TRUE(runner().run(c.memory, {{step.kernel, step.memory, step.grid}}));
      float got = 0;
      std::memcpy(&got, &c.memory[step.memory[7]][5 * sizeof got], sizeof got);
      EXPECT_FALSE(std::isfinite(got)) << damaged;
    }
  }
}

TEST_F(Candidates, ChoicesAreFoundByShape) {
  const formats::Format& q4 = *formats::find("Q4_0");
  kernels::Tuning tuning;
  const auto key = [&](u32 rows, u32 cols) { return kernels::tuning_key(TunedKernel::matvec, q4, rows, cols); };
  EXPECT_EQ(key(4096, 2048), "matvec Q4_0 4096x2048");
  EXPECT_EQ(key(5000, 2049), key(4096, 2048));  // the same bucket
  EXPECT_NE(key(4095, 2048), key(4096, 2048));
  const auto find = [&](std::string_view at, const gpu::Features& features) {
    return tuning.find(TunedKernel::matvec, at, gpu::Limits{}, features);
  };
  EXPECT_EQ(find(key(4096, 2048), {}), std::nullopt);
  tuning.choose(key(4096, 2048), "16x2x32");
  ASSERT_TRUE(find(key(5000, 2049), {}));
  EXPECT_EQ(kernels::candidate_name(TunedKernel::matvec, *find(key(5000, 2049), {})), "16x2x32");
  tuning.choose(key(4096, 2048), "16x2x32+subgroups");  // in place of the first
  EXPECT_EQ(tuning.choices().size(), 1u);
  EXPECT_EQ(find(key(4096, 2048), {}), std::nullopt);  // the device cannot run it
  EXPECT_TRUE(find(key(4096, 2048), {.subgroups = true}));
  tuning.choose(key(4096, 2048), "17x2x32");
  EXPECT_EQ(find(key(4096, 2048), {.subgroups = true}), std::nullopt);  // there is none of that name
  tuning.fall_back("matvec * *x2048", "8x4x32");
  tuning.fall_back("matvec *", "8x8x32");
  const auto name = [&](u32 rows, u32 cols) {
    return kernels::candidate_name(TunedKernel::matvec, *find(key(rows, cols), {.subgroups = true}));
  };
  EXPECT_EQ(name(4096, 2048), "8x4x32");  // its own choice is none that there is
  EXPECT_EQ(name(4096, 1024), "8x8x32");
  EXPECT_EQ(tuning.find(TunedKernel::gemm, "gemm Q4_0 4096x2048", gpu::Limits{}, {}), std::nullopt);
  EXPECT_EQ(kernels::tuning_key(TunedKernel::attention_decode, {32, 8, 64, 64}, {KvType::q8, KvType::q4}),
            "attention_decode q8/q4 32x8x64x64");
}

}  // namespace
}  // namespace pronk::test
