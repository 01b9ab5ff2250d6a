#include "engine/op_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/attention.h"
#include "cpu/operations.h"
#include "cpu/sampler.h"

namespace pronk::engine {
namespace {

using graph::Epilogue;
using graph::KvType;
using Memory = std::vector<u8>;
using Match = OpAnswer::Match;

template <class T>
Memory memory_of(std::span<const T> values) {
  Memory bytes(std::max<u64>(16, align_up(values.size_bytes(), 16)));
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), values.size_bytes());
  return bytes;
}
template <class T>
Memory memory_of(const std::vector<T>& values) {
  return memory_of(std::span<const T>(values));
}
template <class Params>
Memory params_of(const Params& params) {
  return memory_of(std::span<const Params>(&params, 1));
}

std::vector<double> doubles(std::span<const float> from) { return {from.begin(), from.end()}; }

// Wholly random bits, the same everywhere (splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
// generators").
class Bits {
 public:
  explicit Bits(u32 seed) : state_(seed) {}
  u64 next() {
    u64 z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

 private:
  u64 state_;
};

OpAnswer unchanged(u32 memory, std::span<const float> before) {
  return {memory, OpAnswer::Type::f32, doubles(before), std::vector<Match>(before.size(), Match::same)};
}

void expect(OpAnswer& answer, u64 at, double value, Match match = Match::near) {
  answer.values[at] = value;
  answer.match[at] = match;
}

// Of sums of k products in f32.
double sum_tolerance(u32 k) { return 2e-6 * std::sqrt(double(k)); }

std::string by(u64 a, u64 b) { return std::to_string(a) + " x " + std::to_string(b); }

// ---- Weights

// A random matrix in the file's layout and in the GPU's.
struct MadeUpMatrix {
  const formats::Format& format;
  u32 rows, cols;
  Memory file, gpu;
  formats::GpuExtent extent;

  MadeUpMatrix(const formats::Format& f, u32 r, u32 c, u32 seed)
      : format(f), rows(r), cols(c), extent(formats::gpu_extent(f, r, c)) {
    const u64 row_blocks = cols / format.block_weights;
    const u64 padded_blocks = formats::gpu_row_weights(format, cols) / format.block_weights;
    file = made_up_blocks(format, rows * row_blocks, seed, 1 / std::sqrt(float(cols)));
    gpu.resize(extent.bytes);
    for (u64 row = 0; row < rows; ++row) {
      u8* planes[formats::max_planes] = {};
      for (u32 p = 0; p < format.gpu.plane_count; ++p) {
        planes[p] = gpu.data() + extent.plane_offset[p] + row * padded_blocks * format.gpu.plane_bytes[p];
      }
      format.repack(file.data() + row * row_blocks * format.block_bytes, row_blocks, planes);
    }
  }

  u32 row_units() const { return u32(ceil_div(cols, 8)); }
  cpu::Matrix on_cpu(u32 first, u32 count) const {
    const u64 row_bytes = u64(cols) / format.block_weights * format.block_bytes;
    return {&format, file.data() + first * row_bytes, count, cols};
  }
  template <class Params>
  void set_planes(Params& p) const {
    p.row_units = row_units();
    p.plane1 = u32(extent.plane_offset[1] / 4);
    p.plane2 = u32(extent.plane_offset[2] / 4);
    p.plane3 = u32(extent.plane_offset[3] / 4);
  }
  // What the format's fragment looks up, when it does.
  void bind_table(OpCase& c, OpStep& step) const {
    if (!format.gpu_table) return;
    step.memory.push_back(u32(c.memory.size()));
    c.memory.push_back(memory_of(format.gpu_table()));
  }
};

// ---- Products

constexpr u32 x_base = 8, y_base = 5, bias_base = 3;  // of the operands within what is bound
constexpr float matmul_eps = 1e-5f;

struct MatMulInput {
  MadeUpMatrix w;
  u32 x_stride, y_stride;
  std::vector<float> x, norm, bias, y;

  MatMulInput(const MatMulSpec& s, u32 seed)
      : w(*s.kind.format, s.kind.epilogue == Epilogue::swiglu ? 2 * s.rows : s.rows, s.cols, seed),
        x_stride(u32(align_up(s.cols, 8)) + 16),
        y_stride(s.rows + s.padding + 7),
        x(made_up_floats(x_base + u64(s.tokens) * x_stride, seed + 1, 1.5f, 0.2f)),
        norm(made_up_floats(align_up(s.cols, 8), seed + 2, 0.3f, 1)),
        bias(made_up_floats(bias_base + s.rows, seed + 3)),
        y(made_up_floats(y_base + u64(s.tokens) * y_stride + 9, seed + 4)) {
    for (u32 t = 0; t < s.tokens; ++t)
      std::fill_n(&x[x_base + u64(t) * x_stride + s.cols], align_up(s.cols, 8) - s.cols, 0.0f);
    std::fill(norm.begin() + s.cols, norm.end(), 0.0f);
  }
};

OpAnswer matmul_answer(const MatMulSpec& s, const MatMulInput& in, u32 memory) {
  const std::vector<double> x = doubles(in.x), norm = doubles(in.norm), bias = doubles(in.bias);
  const u32 stride = u32(align_up(s.cols, 8));
  std::vector<double> normed(u64(s.tokens) * stride);
  for (u32 t = 0; t < s.tokens; ++t) std::copy_n(&x[x_base + u64(t) * in.x_stride], s.cols, &normed[u64(t) * stride]);
  const cpu::Rows<double> rows{normed.data(), s.tokens, s.cols, stride};
  if (s.kind.norm) cpu::rms_norm<double>(rows, norm.data(), s.cols, matmul_eps, rows);
  const auto product = [&](u32 first) {
    std::vector<double> out(u64(s.tokens) * s.rows);
    cpu::matmul<double>(in.w.on_cpu(first, s.rows), rows, s.kind.bias ? &bias[bias_base] : nullptr,
                        {out.data(), s.tokens, s.rows, s.rows});
    return out;
  };
  const auto silu = [](double v) { return v / (1 + std::exp(-v)); };
  const std::vector<double> first = product(0);
  const std::vector<double> second = s.kind.epilogue == Epilogue::swiglu ? product(s.rows) : std::vector<double>();
  OpAnswer answer = unchanged(memory, in.y);
  for (u32 t = 0; t < s.tokens; ++t) {
    for (u32 n = 0; n < s.rows + s.padding; ++n) {
      const u64 at = y_base + u64(t) * in.y_stride + n, i = u64(t) * s.rows + n;
      if (n >= s.rows) {
        expect(answer, at, 0, Match::same);
        continue;
      }
      switch (s.kind.epilogue) {
        case Epilogue::none:
          expect(answer, at, first[i]);
          break;
        case Epilogue::add:
          expect(answer, at, in.y[at] + first[i]);
          break;
        case Epilogue::gate:
          expect(answer, at, silu(in.y[at]) * first[i]);
          break;
        case Epilogue::swiglu:
          expect(answer, at, silu(first[i]) * second[i]);
          break;
      }
    }
  }
  return answer;
}

std::string matmul_variant(const kernels::MatMulKind& kind) {
  constexpr std::string_view epilogues[] = {"", "add", "gate", "swiglu"};
  std::string text;
  const auto add = [&](std::string_view word) {
    text += (text.empty() || word.empty() ? "" : "+") + std::string(word);
  };
  if (kind.norm) add("norm");
  if (kind.bias) add("bias");
  add(epilogues[u32(kind.epilogue)]);
  return text.empty() ? "plain" : text;
}

}  // namespace

std::vector<float> made_up_floats(u64 count, u32 seed, float spread, float middle) {
  Bits random(seed);
  std::vector<float> values(count);
  for (float& value : values) {  // sums of four uniform numbers
    const u64 bits = random.next();
    const u32 sum = u32((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
    value = middle + spread * 1.7320508f * (float(sum) / 65536 - 2);
  }
  return values;
}

std::vector<u8> made_up_blocks(const formats::Format& format, u64 count, u32 seed, float spread) {
  constexpr u64 most_encoded = 1 << 18, most_tried = 4001;  // different blocks
  constexpr u32 most_tries = 20000;
  const u64 size = format.block_bytes, own = std::min(count, format.encode ? most_encoded : most_tried);
  std::vector<u8> bytes(count * size);
  if (format.encode) {
    const auto values = made_up_floats(own * format.block_weights, seed, spread);
    format.encode(values.data(), own, bytes.data());
  } else {
    Bits random(seed);
    std::vector<float> weights(format.block_weights);
    for (u8* at = bytes.data(); at < bytes.data() + own * size; at += size) {
      for (u32 tries = 0;; ++tries) {
        CHECK(tries < most_tries);
        for (u64 i = 0; i < size; ++i) at[i] = u8(random.next());
        format.decode(at, 1, weights.data());
        float largest = 0;
        for (float weight : weights) largest = std::isfinite(weight) ? std::max(largest, std::abs(weight)) : INFINITY;
        if (largest >= spread * 0.375f && largest <= spread * 3) break;
      }
    }
  }
  for (u64 i = own * size; i < bytes.size(); ++i) bytes[i] = bytes[i - own * size];
  return bytes;
}

gpu::PipelineDesc matmul_kernel(MatMulKernel kernel, const kernels::MatMulKind& kind, const gpu::Features& features) {
  if (kernel == MatMulKernel::gemm) return kernels::gemm(kind);
  return kernels::matvec(kind, features, kernel == MatMulKernel::batch ? kernels::batch_tokens : 1);
}

OpCase matmul_case(const MatMulSpec& s, const gpu::Limits& limits, const gpu::Features& features, u32 seed) {
  const bool gemm = s.kernel == MatMulKernel::gemm, batch = s.kernel == MatMulKernel::batch;
  CHECK(gemm || s.tokens <= (batch ? kernels::batch_limit : 1));
  const MatMulInput in(s, seed);
  kernels::MatMulParams p;
  p.rows = s.rows, p.padded_rows = s.rows + s.padding;
  p.x_base = x_base / 4, p.x_stride = in.x_stride / 4, p.y_base = y_base, p.y_stride = in.y_stride,
  p.bias_base = bias_base;
  p.width = float(s.cols), p.eps = matmul_eps;
  in.w.set_planes(p);
  const bool swiglu = s.kind.epilogue == Epilogue::swiglu;
  kernels::Grid grid = gemm ? kernels::gemm_grid(p.padded_rows, swiglu) : kernels::matvec_grid(p.padded_rows, limits);
  if (gemm) grid.y = u32(ceil_div(s.tokens, kernels::gemm_tokens()));
  if (batch) grid.z = u32(ceil_div(s.tokens, kernels::batch_tokens));
  p.grid_x = grid.x;
  kernels::StepState state;
  state.rows = s.tokens;

  OpCase c{.op = gemm    ? "gemm"
                 : batch ? "matvec-batch"
                         : "matvec",
           .format = std::string(s.kind.format->name),
           .variant = matmul_variant(s.kind)};
  c.shape = by(s.rows, s.cols) + (s.tokens > 1 ? " x " + std::to_string(s.tokens) : "");
  c.tolerance = sum_tolerance(s.cols);
  c.bytes = in.w.gpu.size();
  c.operations = 2 * u64(in.w.rows) * s.cols * s.tokens;
  c.memory = {params_of(p),       params_of(state),   in.w.gpu,       memory_of(in.x),
              memory_of(in.norm), memory_of(in.bias), memory_of(in.y)};
  OpStep step{matmul_kernel(s.kernel, s.kind, features), {0, 1, 2, 2, 3, 4, 5, 6}, grid};
  in.w.bind_table(c, step);
  if (step.kernel.label.find("subgroup") != step.kernel.label.npos) c.variant += "+subgroups";
  c.steps.push_back(std::move(step));
  if (s.answer) c.answers.push_back(matmul_answer(s, in, 6));
  return c;
}

OpCase embed_case(const formats::Format& format, u32 rows, u32 width, u32 seed) {
  constexpr u32 first_row = 40;  // of the part of the table that is bound
  const MadeUpMatrix w(format, rows, width, seed);
  const u32 stride = u32(align_up(width, 8)) + 4;
  const std::vector<u32> tokens{
      first_row, first_row + rows - 1, first_row - 1, first_row + rows, first_row + rows / 2, first_row + rows / 2, 0,
      ~0u};
  const auto y = made_up_floats(tokens.size() * stride, seed + 100);
  kernels::EmbedParams p;
  p.first_row = first_row, p.rows = rows, p.y_stride = stride / 4;
  w.set_planes(p);
  kernels::StepState state;
  state.rows = u32(tokens.size());

  OpCase c{.op = "embed", .format = std::string(format.name), .shape = by(rows, width), .tolerance = 1e-6};
  c.memory = {params_of(p), params_of(state), w.gpu, memory_of(tokens), memory_of(y)};
  OpStep step{kernels::embed(format), {0, 1, 2, 2, 3, 4}, {kernels::embed_grid(p.row_units), state.rows}};
  w.bind_table(c, step);
  c.steps.push_back(std::move(step));
  OpAnswer answer = unchanged(4, y);
  std::vector<double> row(align_up(width, 8));
  for (u64 t = 0; t < tokens.size(); ++t) {
    if (tokens[t] < first_row || tokens[t] >= first_row + rows) continue;
    cpu::decode_row(w.on_cpu(0, rows), tokens[t] - first_row, row.data());
    for (u64 i = 0; i < row.size(); ++i) expect(answer, t * stride + i, row[i]);
  }
  c.answers.push_back(std::move(answer));
  return c;
}

// ---- Attention

namespace {

graph::Rotation made_up_rotation(const graph::Heads& heads) {
  graph::Rotation rotation;
  for (u32 i = 0; i < heads.rotated / 2; ++i) rotation.frequency.push_back(std::pow(10000.0, -2.0 * i / heads.rotated));
  rotation.magnitude = 1.125;
  return rotation;
}

u32 width_of(const graph::Heads& heads) { return (heads.query + 2 * heads.kv) * heads.dim; }

// Rows of [q heads | k heads | v heads] of consecutive tokens, and what norms and rotation make of them.
struct Tokens {
  u32 position, count, stride;
  std::vector<float> qkv;
  std::vector<double> rotated;  // [count][width]

  Tokens(const AttentionSpec& s, u32 first, u32 tokens, const std::vector<float>& q_norm,
         const std::vector<float>& k_norm, u32 seed)
      : position(first),
        count(tokens),
        stride(width_of(s.heads) + 8),
        qkv(made_up_floats(u64(tokens) * stride, seed, 1.5f)) {
    const u32 width = width_of(s.heads);
    const graph::Rotation rotation = made_up_rotation(s.heads);
    std::vector<double> cosines, sines;
    for (u32 t = 0; t < count; ++t) {
      rotated.insert(rotated.end(), &qkv[u64(t) * stride], &qkv[u64(t) * stride] + width);
      for (const double frequency : rotation.frequency) {
        cosines.push_back(rotation.magnitude * std::cos((position + t) * frequency));
        sines.push_back(rotation.magnitude * std::sin((position + t) * frequency));
      }
    }
    const auto part = [&](const cpu::Rows<double>& rows, const std::vector<float>* norm) {
      if (norm) cpu::rms_norm<double>(rows, doubles(*norm).data(), s.heads.dim, norm_eps, rows);
      std::vector<double> out(u64(rows.count) * rows.width);
      cpu::rope<double>(rows, s.heads, cosines.data(), sines.data(), {out.data(), rows.count, rows.width, rows.width});
      for (u32 t = 0; t < rows.count; ++t) std::copy_n(&out[u64(t) * rows.width], rows.width, rows[t]);
    };
    part(q(s), s.q_norm ? &q_norm : nullptr);
    part(k(s), s.k_norm ? &k_norm : nullptr);
  }

  static constexpr float norm_eps = 1e-6f;
  cpu::Rows<double> columns(const AttentionSpec& s, u32 first_head, u32 heads) {
    return {rotated.data() + first_head * s.heads.dim, count, heads * s.heads.dim, width_of(s.heads)};
  }
  cpu::Rows<double> q(const AttentionSpec& s) { return columns(s, 0, s.heads.query); }
  cpu::Rows<double> k(const AttentionSpec& s) { return columns(s, s.heads.query, s.heads.kv); }
  cpu::Rows<double> v(const AttentionSpec& s) { return columns(s, s.heads.query + s.heads.kv, s.heads.kv); }

  // The queries' columns hold `rows`; keys and values may be anything, what lies between rows is as it was.
  OpAnswer answer(const AttentionSpec& s, u32 memory, const cpu::Rows<const double>& rows) const {
    OpAnswer answer = unchanged(memory, qkv);
    for (u32 t = 0; t < count; ++t) {
      for (u32 i = 0; i < width_of(s.heads); ++i) {
        expect(answer, u64(t) * stride + i, i < rows.width ? rows[t][i] : 0, i < rows.width ? Match::near : Match::any);
      }
    }
    return answer;
  }
};

std::string heads_shape(const graph::Heads& heads) {
  return "heads " + std::to_string(heads.query) + "/" + std::to_string(heads.kv) + " of " + std::to_string(heads.dim);
}
std::string kv_format(graph::KvTypes kv) {
  return std::string(kv_name(kv.k)) + (kv.k == kv.v ? "" : "/" + std::string(kv_name(kv.v)));
}
std::string rotate_variant(const AttentionSpec& s) {
  std::string text = s.heads.pairs == graph::RopePairs::adjacent ? "adjacent" : "halves";
  if (s.heads.rotated < s.heads.dim) text += "+rotated=" + std::to_string(s.heads.rotated);
  return text + (s.q_norm ? "+qnorm" : "") + (s.k_norm ? "+knorm" : "");
}

// A device may round to either neighbour of f16, as WGSL leaves open; and where its arithmetic differs in the last
// place, a stored number may become its other neighbour.
double kv_tolerance(graph::KvTypes kv, u32 dim) {
  const auto of = [&](KvType type) {
    switch (type) {
      case KvType::f32:
        return sum_tolerance(dim);
      case KvType::f16:
        return 1e-3;
      case KvType::q8:
        return 2e-3;
      case KvType::q4:
        return 1e-2;
    }
    return 0.0;
  };
  return std::max(of(kv.k), of(kv.v));
}

// What rotate_store and attention bind that does not depend on the tokens.
struct AttentionMemory {
  u32 rotate_params, attention_params, rope_table, q_norm, k_norm, k_cache, v_cache;
};

u32 add_memory(OpCase& c, Memory bytes) {
  c.memory.push_back(std::move(bytes));
  return u32(c.memory.size() - 1);
}

Memory empty_cache(KvType type, const graph::Heads& heads, u32 context) {
  return Memory(align_up(graph::kv_row_bytes(type, heads.dim) * heads.kv * context, 16));
}

AttentionMemory add_attention_memory(OpCase& c, const AttentionSpec& s, u32 stride, u32 context,
                                     const std::vector<float>& q_norm, const std::vector<float>& k_norm) {
  kernels::RotateParams r;
  r.stride = stride / 4, r.q_heads = s.heads.query, r.kv_heads = s.heads.kv, r.context = context,
  r.eps = Tokens::norm_eps;
  kernels::AttentionParams a;
  a.group_heads = s.heads.query / s.heads.kv, a.stride = stride / 4, a.context = context, a.scale = s.heads.scale;
  AttentionMemory m;
  m.rotate_params = add_memory(c, params_of(r));
  m.attention_params = add_memory(c, params_of(a));
  m.rope_table = add_memory(c, memory_of(kernels::rope_table(made_up_rotation(s.heads), {}, context)));
  m.q_norm = add_memory(c, memory_of(q_norm));
  m.k_norm = add_memory(c, memory_of(k_norm));
  m.k_cache = add_memory(c, empty_cache(s.kv.k, s.heads, context));
  m.v_cache = add_memory(c, empty_cache(s.kv.v, s.heads, context));
  return m;
}

u32 add_rotate(OpCase& c, const AttentionSpec& s, const AttentionMemory& m, const Tokens& tokens, u32 state) {
  const u32 qkv = add_memory(c, memory_of(tokens.qkv));
  c.steps.push_back({kernels::rotate_store(s.heads, s.q_norm, s.k_norm, s.kv),
                     {m.rotate_params, state, m.rope_table, m.q_norm, m.k_norm, qkv, m.k_cache, m.v_cache},
                     {s.heads.query + 2 * s.heads.kv, tokens.count}});
  return qkv;
}

u32 add_state(OpCase& c, u32 position, u32 rows) {
  kernels::StepState state;
  state.position = position, state.rows = rows;
  return add_memory(c, params_of(state));
}

void add_decode_attention(OpCase& c, const AttentionSpec& s, const AttentionMemory& m, u32 state, u32 qkv) {
  const u32 partial = add_memory(c, Memory(align_up(kernels::attention_partial_bytes(s.heads, s.splits), 16)));
  const u32 group = s.heads.query / s.heads.kv;
  c.steps.push_back({kernels::attention(s.heads, s.kv, s.decode_vectors, s.splits),
                     {m.attention_params, state, m.k_cache, m.v_cache, qkv, partial},
                     {s.splits, s.heads.kv, u32(ceil_div(group, s.decode_vectors))}});
  c.steps.push_back({kernels::combine(s.heads, s.splits), {m.attention_params, state, partial, qkv}, {s.heads.query}});
}

}  // namespace

std::string_view kv_name(KvType type) {
  constexpr std::string_view names[] = {"f32", "f16", "q8", "q4"};
  return names[u32(type)];
}

OpCase attention_case(const AttentionSpec& s, u32 seed) {
  const u32 context = s.tokens + s.decode + 5, group = s.heads.query / s.heads.kv;
  const auto q_norm = made_up_floats(s.heads.dim, seed, 0.3f, 1),
             k_norm = made_up_floats(s.heads.dim, seed + 1, 0.3f, 1);
  OpCase c{.op = s.decode ? "attention-decode" : "attention", .format = kv_format(s.kv), .variant = rotate_variant(s)};
  c.shape = heads_shape(s.heads) + " tokens " + std::to_string(s.tokens + s.decode);
  c.tolerance = kv_tolerance(s.kv, s.heads.dim);
  Tokens prompt(s, 0, s.tokens, q_norm, k_norm, seed + 2);
  const AttentionMemory m = add_attention_memory(c, s, prompt.stride, context, q_norm, k_norm);
  cpu::KvCache<double> cache(s.heads, 1, context, s.kv);
  cpu::AttentionScratch<double> scratch(s.heads, s.tokens);
  const auto attend = [&](Tokens& tokens, u32 memory) {
    cache.store(0, tokens.position, tokens.k(s), tokens.v(s));
    const u32 width = s.heads.query * s.heads.dim;
    std::vector<double> out(u64(tokens.count) * width);
    const cpu::Rows<double> rows{out.data(), tokens.count, width, width};
    cpu::attention<double>(cache, 0, s.heads, tokens.q(s), tokens.position, scratch, rows);
    c.answers.push_back(tokens.answer(s, memory, rows));
  };

  const u32 state = add_state(c, 0, s.tokens), qkv = add_rotate(c, s, m, prompt, state);
  if (s.attend) {
    c.steps.push_back({kernels::attention(s.heads, s.kv, s.prefill_vectors, 1),
                       {m.attention_params, state, m.k_cache, m.v_cache, qkv, add_memory(c, Memory(16))},
                       {1, s.heads.kv, u32(ceil_div(u64(s.tokens) * group, s.prefill_vectors))}});
    attend(prompt, qkv);
  } else {
    cache.store(0, 0, prompt.k(s), prompt.v(s));
  }
  if (!s.decode) return c;
  Tokens next(s, s.tokens, 1, q_norm, k_norm, seed + 3);
  const u32 next_state = add_state(c, s.tokens, 1), next_qkv = add_rotate(c, s, m, next, next_state);
  add_decode_attention(c, s, m, next_state, next_qkv);
  attend(next, next_qkv);
  return c;
}

OpCase rotate_case(const AttentionSpec& s, u32 position, u32 seed) {
  const u32 context = position + s.tokens + 3;
  const auto q_norm = made_up_floats(s.heads.dim, seed, 0.3f, 1),
             k_norm = made_up_floats(s.heads.dim, seed + 1, 0.3f, 1);
  OpCase c{.op = "rotate_store", .format = kv_format(s.kv), .variant = rotate_variant(s)};
  c.shape = heads_shape(s.heads) + " tokens " + std::to_string(position) + "+" + std::to_string(s.tokens);
  Tokens tokens(s, position, s.tokens, q_norm, k_norm, seed + 2);
  const AttentionMemory m = add_attention_memory(c, s, tokens.stride, context, q_norm, k_norm);
  const u32 qkv = add_rotate(c, s, m, tokens, add_state(c, position, s.tokens));
  c.answers.push_back(tokens.answer(s, qkv, tokens.q(s)));
  const auto stored = [&](u32 memory, KvType type, const cpu::Rows<double>& rows) {
    CHECK(type == KvType::f32 || type == KvType::f16);
    const u64 count = u64(s.heads.kv) * context * s.heads.dim;
    OpAnswer answer{memory, type == KvType::f32 ? OpAnswer::Type::f32 : OpAnswer::Type::f16, std::vector<double>(count),
                    std::vector<Match>(count, Match::same)};
    for (u32 t = 0; t < s.tokens; ++t) {
      for (u32 i = 0; i < rows.width; ++i) {
        expect(answer, (u64(i / s.heads.dim) * context + position + t) * s.heads.dim + i % s.heads.dim, rows[t][i]);
      }
    }
    c.answers.push_back(std::move(answer));
  };
  stored(m.k_cache, s.kv.k, tokens.k(s));
  stored(m.v_cache, s.kv.v, tokens.v(s));
  c.tolerance = s.kv.k == KvType::f16 || s.kv.v == KvType::f16 ? 1e-3 : 2e-6;
  return c;
}

OpCase decode_attention_timing(const graph::Heads& heads, graph::KvTypes kv, u32 context) {
  const AttentionSpec s{.heads = heads,
                        .kv = kv,
                        .decode_vectors = kernels::attention_vectors(heads, 1),
                        .splits = kernels::attention_splits(heads)};
  const std::vector<float> norm(heads.dim, 1.0f);
  OpCase c{.op = "attention-decode",
           .format = kv_format(kv),
           .shape = heads_shape(heads) + " tokens " + std::to_string(context)};
  const AttentionMemory m = add_attention_memory(c, s, width_of(heads), context, norm, norm);
  const u32 state = add_state(c, context - 1, 1);
  add_decode_attention(c, s, m, state, add_memory(c, memory_of(made_up_floats(width_of(heads), 1))));
  c.bytes = c.memory[m.k_cache].size() + c.memory[m.v_cache].size();
  c.operations = 4 * u64(heads.query) * heads.dim * context;
  return c;
}

// ---- Sampling

OpCase sampling_case(u32 vocab, const graph::SamplingParams& sampling, u32 seed) {
  const auto logits = made_up_floats(vocab, seed, 3);
  const kernels::SampleParams p = kernels::sample_params(sampling, vocab, 1000, 0);
  kernels::StepState state;
  state.step = seed, state.remaining = 10;
  OpCase c{.op = "sampling", .format = "f32", .shape = std::to_string(vocab)};
  c.variant = p.greedy ? "greedy" : "temperature";
  if (!p.greedy && p.top_k > 0) c.variant += "+top_k";
  if (!p.greedy && p.top_p < 1) c.variant += "+top_p";
  if (!p.greedy && sampling.min_p > 0) c.variant += "+min_p";
  enum { params, step_state, values, blocks, candidates, ends, next, sampled };
  c.memory = {params_of(p),
              params_of(state),
              memory_of(logits),
              Memory(align_up(kernels::sample_blocks_bytes(vocab), 16)),
              Memory(align_up(kernels::sample_candidates_bytes(vocab), 16)),
              Memory(16),
              Memory(16),
              Memory(16)};
  const std::vector<u32> bindings{params, step_state, values, blocks, candidates};
  c.steps.push_back({kernels::sample_blocks(), bindings, {kernels::sample_grid(vocab)}});
  if (!p.greedy) c.steps.push_back({kernels::sample_filter(), bindings, {kernels::sample_grid(vocab)}});
  c.steps.push_back(
      {kernels::sample_pick(), {params, values, blocks, candidates, ends, step_state, next, sampled}, {1}});
  const double token = *cpu::sample(logits, sampling, seed);
  for (const u32 memory : {u32(next), u32(sampled)})
    c.answers.push_back({memory, OpAnswer::Type::u32, {token}, {Match::same}});
  return c;
}

// ---- Answers

namespace {

double number_at(const Memory& memory, OpAnswer::Type type, u64 i) {
  if (type == OpAnswer::Type::f16) return f16_to_f32(load_le<u16>(&memory[2 * i]));
  return type == OpAnswer::Type::f32 ? double(load_le<float>(&memory[4 * i])) : double(load_le<u32>(&memory[4 * i]));
}

double error_of(const OpAnswer& answer, const Memory& memory) {
  double difference = 0, size = 0;
  for (u64 i = 0; i < answer.values.size(); ++i) {
    const double got = number_at(memory, answer.type, i), wanted = answer.values[i];
    if (answer.match[i] == Match::any) continue;
    if (answer.match[i] == Match::near) {
      difference += (got - wanted) * (got - wanted);
      size += wanted * wanted;
    } else if (got != wanted) {
      return std::numeric_limits<double>::infinity();
    }
  }
  const double error = std::sqrt(difference / std::max(size, 1e-300));
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

// Labels of all steps that an answer depends on.
std::string writers(const OpCase& c, u32 memory) {
  std::vector<u32> wanted{memory};
  std::string labels;
  for (auto step = c.steps.rbegin(); step != c.steps.rend(); ++step) {
    bool writes = false;
    for (u64 b = 0; b < step->memory.size(); ++b) {
      const bool written = step->kernel.bindings[b] == gpu::BindingType::storage_read_write;
      writes |= written && std::find(wanted.begin(), wanted.end(), step->memory[b]) != wanted.end();
    }
    if (!writes) continue;
    wanted.insert(wanted.end(), step->memory.begin(), step->memory.end());
    labels = step->kernel.label + (labels.empty() ? "" : " > ") + labels;
  }
  return labels;
}

}  // namespace

OpResult check_answers(const OpCase& c, const std::vector<Memory>& memory) {
  OpResult worst;
  for (const OpAnswer& answer : c.answers) {
    const double error = error_of(answer, memory[answer.memory]);
    if (worst.kernels.empty() || error > worst.error) worst = {error, writers(c, answer.memory)};
  }
  return worst;
}

}  // namespace pronk::engine
