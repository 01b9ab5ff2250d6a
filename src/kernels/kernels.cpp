#include "kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>

#include "kernels/embedded.h"

namespace pronk::kernels {
namespace {

using gpu::BindingType;
using gpu::PipelineDesc;

constexpr BindingType uniform = BindingType::uniform;
constexpr BindingType read = BindingType::storage_read;
constexpr BindingType write = BindingType::storage_read_write;

template <class T>
constexpr std::string_view wgsl_type() {
  return std::is_same_v<T, float> ? "f32" : "u32";
}

template <class Struct>
std::string declare(std::string_view name) {
  std::string text = "struct " + std::string(name) + " {\n";
  Struct{}.each_field([&](const char* field, auto value) {
    static_assert(sizeof value == 4);
    text += std::string(field) + ": " + std::string(wgsl_type<decltype(value)>()) + ",\n";
  });
  return text + "}\n";
}

// Collects the text of a module and the key that names it.
class Shader {
 public:
  explicit Shader(std::string_view name) : name_(name) { text_ = declare<StepState>("StepState"); }

  template <class Params>
  Shader& params(std::string_view name) {
    text_ += declare<Params>(name);
    return *this;
  }
  template <class Constants>
  Shader& constants(const Constants& constants) {
    constants.each_field([&](const char* field, auto value) {
      const bool flag = std::is_same_v<decltype(value), bool>;
      const std::string literal = flag ? (value ? "true" : "false") : std::to_string(value) + "u";
      text_ += "const " + std::string(field) + " = " + literal + ";\n";
      if (!flag) name_ += " " + std::string(field) + "=" + std::to_string(value);
      if (flag && value) name_ += " " + std::string(field);
    });
    return *this;
  }
  Shader& enable(std::string_view extension) {
    text_ = "enable " + std::string(extension) + ";\n" + text_;
    return *this;
  }
  Shader& add(std::string_view source) {
    text_ += wgsl_source(source);
    return *this;
  }
  // A part that the kernel is instantiated over; named in the key.
  Shader& with(std::string_view source) {
    name_ += " " + std::string(source.substr(source.find('/') + 1));
    return add(source);
  }
  // A weight format's fragment; its table is bound behind everything else.
  Shader& format(const formats::Format& format, u32 table_binding) {
    if (format.gpu_table) {
      has_table_ = true;
      text_ += "@group(0) @binding(" + std::to_string(table_binding) + ") var<storage, read> table: array<u32>;\n";
    }
    return with(format.wgsl).add("weights");
  }
  // A cache fragment for keys (prefix "k") or values ("v"): what it defines begins with CACHE.
  Shader& cache(std::string_view prefix, const std::string& source) {
    std::string text(wgsl_source(source));
    for (std::size_t at; (at = text.find("CACHE")) != text.npos;) text.replace(at, 5, prefix);
    text_ += text;
    name_ += " " + std::string(prefix) + source.substr(source.rfind('_'));
    return *this;
  }
  PipelineDesc finish(std::vector<BindingType> bindings) {
    if (has_table_) bindings.push_back(read);
    return {std::move(name_), std::move(text_), std::move(bindings)};
  }

 private:
  std::string name_, text_;
  bool has_table_ = false;
};

constexpr MatVecConstants matvec_tile{.LANES = 32, .ROWS = 2, .WORKGROUP = 64, .TOKENS = 1};
// TILE_K 16 and not more: SwiftShader's compile time grows with workgroup memory (1.9 s against 4.4 s with 32).
constexpr GemmConstants gemm_tile{.TILE_T = 32, .TILE_N = 64, .TILE_K = 16};
constexpr u32 embed_workgroup = 64;
// With top-k the candidates are few as long as there are more blocks than k: small blocks serve small vocabularies too.
constexpr SampleConstants sample_tile{.WORKGROUP = 256, .TILE = 1024, .BLOCK = 64};

template <class Constants>
Constants with_kind(Constants constants, const MatMulKind& kind) {
  constants.NORM = kind.norm;
  constants.BIAS = kind.bias;
  constants.ADD = kind.epilogue == graph::Epilogue::add;
  constants.GATE = kind.epilogue == graph::Epilogue::gate;
  constants.SWIGLU = kind.epilogue == graph::Epilogue::swiglu;
  return constants;
}

std::string kv_fragment(std::string_view action, graph::KvType type, u32 dim) {
  constexpr std::string_view names[] = {"f32", "f16", "q8", "q4"};
  return "kv_" + std::string(action) + "_" + std::string(names[u32(graph::kv_stored(type, dim))]);
}

PipelineDesc sample(std::string_view name, std::vector<BindingType> bindings) {
  return Shader(name)
      .params<SampleParams>("SampleParams")
      .constants(sample_tile)
      .add("sample_common")
      .add(name)
      .finish(std::move(bindings));
}

}  // namespace

PipelineDesc matvec(const MatMulKind& kind, const gpu::Features& features, u32 tokens) {
  MatVecConstants constants = with_kind(matvec_tile, kind);
  constants.TOKENS = tokens;
  Shader shader("matvec");
  if (features.subgroups) shader.enable("subgroups");
  return shader.params<MatMulParams>("MatMulParams")
      .constants(constants)
      .add("common")
      .add("silu")
      .format(*kind.format, 8)
      .add("matvec")
      .with(features.subgroups ? "reduce_subgroup" : "reduce_tree")
      .finish({uniform, uniform, read, read, read, read, read, write});
}

PipelineDesc gemm(const MatMulKind& kind) {
  return Shader("gemm")
      .params<MatMulParams>("MatMulParams")
      .constants(with_kind(gemm_tile, kind))
      .add("common")
      .add("silu")
      .format(*kind.format, 8)
      .add("gemm")
      .finish({uniform, uniform, read, read, read, read, read, write});
}

Grid matvec_grid(u32 rows, const gpu::Limits& limits) {
  const u32 rows_a_group = matvec_tile.WORKGROUP / matvec_tile.LANES * matvec_tile.ROWS;
  const u32 groups = u32(ceil_div(rows, rows_a_group));
  const u32 x = std::min(groups, limits.max_compute_workgroups_per_dimension);
  return {x, u32(ceil_div(groups, x)), 1};
}

Grid gemm_grid(u32 rows, bool swiglu) {
  return {u32(ceil_div(rows, swiglu ? gemm_tile.TILE_N / 2 : gemm_tile.TILE_N)), 1, 1};
}

u32 gemm_tokens() { return gemm_tile.TILE_T; }

PipelineDesc embed(const formats::Format& format) {
  return Shader("embed")
      .params<EmbedParams>("EmbedParams")
      .constants(EmbedConstants{.WORKGROUP = embed_workgroup})
      .add("common")
      .format(format, 6)
      .add("embed")
      .finish({uniform, uniform, read, read, read, write});
}

u32 embed_grid(u32 row_units) { return u32(ceil_div(row_units, embed_workgroup)); }

PipelineDesc rotate_store(const graph::Heads& heads, bool q_norm, bool k_norm, graph::KvTypes kv) {
  return Shader("rotate_store")
      .params<RotateParams>("RotateParams")
      .constants(RotateConstants{.HEAD_DIM = heads.dim,
                                 .ROTATED = heads.rotated,
                                 .WORKGROUP = 32,
                                 .KV_BLOCK = graph::kv_block_of(heads.dim) / 4,
                                 .HADAMARD = graph::kv_hadamard_size(kv.k, heads.dim),
                                 .ADJACENT = heads.pairs == graph::RopePairs::adjacent,
                                 .Q_NORM = q_norm,
                                 .K_NORM = k_norm})
      .cache("k", kv_fragment("store", kv.k, heads.dim))
      .cache("v", kv_fragment("store", kv.v, heads.dim))
      .add("rotate_store")
      .finish({uniform, uniform, read, read, read, write, write, write});
}

PipelineDesc attention(const graph::Heads& heads, graph::KvTypes kv, u32 vectors, u32 splits) {
  return Shader("attention")
      .params<AttentionParams>("AttentionParams")
      .constants(AttentionConstants{
          .HEAD_DIM = heads.dim, .KV_BLOCK = graph::kv_block_of(heads.dim) / 4, .VECTORS = vectors, .SPLITS = splits})
      .cache("k", kv_fragment("load", kv.k, heads.dim))
      .cache("v", kv_fragment("load", kv.v, heads.dim))
      .add("attention")
      .finish({uniform, uniform, read, read, write, write});
}

u32 attention_vectors(const graph::Heads& heads, u32 tokens) {
  const u32 most = heads.dim <= 128 ? 16 : 8;  // 16 KiB of workgroup memory
  const u32 queries = heads.query / heads.kv * tokens;
  u32 vectors = 1;
  while (vectors < queries && vectors < most) vectors *= 2;
  return vectors;
}

u32 attention_splits(const graph::Heads& heads) {
  const u32 groups = heads.kv * u32(ceil_div(heads.query / heads.kv, attention_vectors(heads, 1)));
  u32 splits = 4;
  while (splits * groups < 128 && splits < 32) splits *= 2;
  return splits;
}

u64 attention_partial_bytes(const graph::Heads& heads, u32 splits) {
  return u64(heads.query) * splits * (heads.dim + 4) * sizeof(float);
}

PipelineDesc combine(const graph::Heads& heads, u32 splits) {
  return Shader("combine")
      .params<AttentionParams>("AttentionParams")
      .constants(CombineConstants{.HEAD_DIM = heads.dim, .SPLITS = splits})
      .add("combine")
      .finish({uniform, uniform, read, write});
}

std::vector<float> rope_table(const graph::Rotation& rotation, std::span<const float> factors, u32 context) {
  const u64 pairs = rotation.frequency.size();
  std::vector<float> table(rope_table_bytes(u32(2 * pairs), context) / sizeof(float));
  float* out = table.data();
  const auto row = [&](double position, double magnitude) {
    for (u64 i = 0; i < pairs; ++i) {
      const double angle = position * rotation.frequency[i] / (factors.empty() ? 1.0 : factors[i]);
      *out++ = float(magnitude * std::cos(angle));
      *out++ = float(magnitude * std::sin(angle));
    }
  };
  for (u32 rest = 0; rest < 64; ++rest) row(rest, rotation.magnitude);
  for (u32 whole = 0; whole < ceil_div(context, 64); ++whole) row(64.0 * whole, 1);
  return table;
}

u64 rope_table_bytes(u32 rotated, u32 context) { return (64 + ceil_div(context, 64)) * rotated * sizeof(float); }

u64 sample_blocks_bytes(u32 vocab) { return ceil_div(vocab, sample_tile.BLOCK) * 3 * sizeof(u32); }
u64 sample_candidates_bytes(u32 vocab) { return (u64(vocab) + 1) * sizeof(u32); }
u32 sample_grid(u32 vocab) { return u32(ceil_div(vocab, sample_tile.TILE)); }

SampleParams sample_params(const graph::SamplingParams& sampling, u32 vocab, u32 context, u32 end_count) {
  constexpr float off = -1e30f;
  SampleParams p;
  p.vocab = vocab;
  p.blocks = u32(ceil_div(vocab, sample_tile.BLOCK));
  p.context = context;
  p.greedy = graph::is_greedy(sampling);
  p.top_k = sampling.top_k < vocab ? sampling.top_k : 0;
  p.end_count = end_count;
  p.seed_low = u32(sampling.seed);
  p.seed_high = u32(sampling.seed >> 32);
  p.inverse_temperature = graph::inverse_temperature(sampling);
  p.top_p = sampling.top_p < 1 ? std::max(sampling.top_p, 0.0f) : 1.0f;
  p.log_min_p = sampling.min_p > 0 ? std::min(0.0f, std::log(sampling.min_p)) : off;
  return p;
}

PipelineDesc sample_blocks() { return sample("sample_blocks", {uniform, uniform, read, write, write}); }
PipelineDesc sample_filter() { return sample("sample_filter", {uniform, uniform, read, read, write}); }
PipelineDesc sample_pick() { return sample("sample_pick", {uniform, read, read, read, read, write, write, write}); }

}  // namespace pronk::kernels
