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

u32 add_memory(OpCase& c, Memory bytes) {
  c.memory.push_back(std::move(bytes));
  return u32(c.memory.size() - 1);
}

kernels::Operand add_operand(OpCase& c, Memory bytes) { return kernels::Operand(add_memory(c, std::move(bytes))); }

// Operands are indices of the case's memory; parameters and a code book get memory of their own.
void add_step(OpCase& c, kernels::Launch launch, u32 tokens = 1) {
  OpStep step{std::move(launch.pipeline), {}, launch.scale(launch.grid, tokens)};
  if (!launch.params.empty()) step.memory.push_back(add_memory(c, std::move(launch.params)));
  for (const kernels::Operand operand : launch.operands) step.memory.push_back(u32(operand));
  if (launch.table) step.memory.push_back(add_memory(c, memory_of(launch.table->gpu_table())));
  c.steps.push_back(std::move(step));
}

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

  cpu::Matrix on_cpu(u32 first, u32 count) const {
    const u64 row_bytes = u64(cols) / format.block_weights * format.block_bytes;
    return {&format, file.data() + first * row_bytes, count, cols};
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

OpCase matmul_case(const MatMulSpec& s, const gpu::Limits& limits, const gpu::Features& features, u32 seed) {
  const bool gemm = s.kernel == MatMulKernel::gemm, batch = s.kernel == MatMulKernel::batch;
  CHECK(gemm || s.tokens <= (batch ? kernels::batch_limit : 1));
  const MatMulInput in(s, seed);
  const kernels::MatMul product{.kind = s.kind,
                                .weight = in.w.extent,
                                .rows = s.rows,
                                .cols = s.cols,
                                .padding = s.padding,
                                .x_base = x_base,
                                .x_stride = in.x_stride,
                                .y_base = y_base,
                                .y_stride = in.y_stride,
                                .bias_base = bias_base,
                                .eps = matmul_eps};
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
  const kernels::MatMulOperands operands{.state = add_operand(c, params_of(state)),
                                         .weight = add_operand(c, in.w.gpu),
                                         .x = add_operand(c, memory_of(in.x)),
                                         .norm = add_operand(c, memory_of(in.norm)),
                                         .bias = add_operand(c, memory_of(in.bias)),
                                         .y = add_operand(c, memory_of(in.y))};
  add_step(c, kernels::lower(product, s.kernel, operands, limits, features), s.tokens);
  if (c.steps[0].kernel.label.find("subgroup") != std::string::npos) c.variant += "+subgroups";
  if (s.answer) c.answers.push_back(matmul_answer(s, in, u32(operands.y)));
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
  kernels::StepState state;
  state.rows = u32(tokens.size());

  OpCase c{.op = "embed", .format = std::string(format.name), .shape = by(rows, width), .tolerance = 1e-6};
  const kernels::EmbedOperands operands{.state = add_operand(c, params_of(state)),
                                        .table = add_operand(c, w.gpu),
                                        .tokens = add_operand(c, memory_of(tokens)),
                                        .y = add_operand(c, memory_of(y))};
  add_step(c, kernels::lower(kernels::Embed{&format, w.extent, first_row, rows, width, stride}, operands), state.rows);
  OpAnswer answer = unchanged(u32(operands.y), y);
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
  kernels::Operand rope_table, q_norm, k_norm, k_cache, v_cache;
  u32 stride, context;
};

Memory empty_cache(KvType type, const graph::Heads& heads, u32 context) {
  return Memory(align_up(graph::kv_row_bytes(type, heads.dim) * heads.kv * context, 16));
}

AttentionMemory add_attention_memory(OpCase& c, const AttentionSpec& s, u32 stride, u32 context,
                                     const std::vector<float>& q_norm, const std::vector<float>& k_norm) {
  return {.rope_table = add_operand(c, memory_of(kernels::rope_table(made_up_rotation(s.heads), {}, context))),
          .q_norm = add_operand(c, memory_of(q_norm)),
          .k_norm = add_operand(c, memory_of(k_norm)),
          .k_cache = add_operand(c, empty_cache(s.kv.k, s.heads, context)),
          .v_cache = add_operand(c, empty_cache(s.kv.v, s.heads, context)),
          .stride = stride,
          .context = context};
}

kernels::Operand add_state(OpCase& c, u32 position, u32 rows) {
  kernels::StepState state;
  state.position = position, state.rows = rows;
  return add_operand(c, params_of(state));
}

// The memory of the rows, rotated in place.
kernels::Operand add_rotate(OpCase& c, const AttentionSpec& s, const AttentionMemory& m, const Tokens& tokens,
                            kernels::Operand state) {
  const kernels::Operand qkv = add_operand(c, memory_of(tokens.qkv));
  const kernels::RotateStore rotate{.heads = s.heads,
                                    .kv = s.kv,
                                    .q_norm = s.q_norm,
                                    .k_norm = s.k_norm,
                                    .eps = Tokens::norm_eps,
                                    .stride = m.stride,
                                    .context = m.context};
  add_step(c, kernels::lower(rotate, {state, m.rope_table, m.q_norm, m.k_norm, qkv, m.k_cache, m.v_cache}),
           tokens.count);
  return qkv;
}

void add_attention(OpCase& c, const AttentionSpec& s, const AttentionMemory& m, u32 vectors, u32 splits, u32 tokens,
                   kernels::Operand state, kernels::Operand qkv) {
  const u64 partial_bytes = splits > 1 ? kernels::attention_partial_bytes(s.heads, splits) : 16;
  const kernels::Operand partial = add_operand(c, Memory(align_up(partial_bytes, 16)));
  const kernels::Attention attention{s.heads, s.kv, vectors, splits, m.stride, m.context};
  for (kernels::Launch& launch : kernels::lower(attention, {state, m.k_cache, m.v_cache, qkv, partial}))
    add_step(c, std::move(launch), tokens);
}

}  // namespace

std::string_view kv_name(KvType type) {
  constexpr std::string_view names[] = {"f32", "f16", "q8", "q4"};
  return names[u32(type)];
}

OpCase attention_case(const AttentionSpec& s, u32 seed) {
  const u32 context = s.tokens + s.decode + 5;
  const auto q_norm = made_up_floats(s.heads.dim, seed, 0.3f, 1),
             k_norm = made_up_floats(s.heads.dim, seed + 1, 0.3f, 1);
  OpCase c{.op = s.decode ? "attention-decode" : "attention", .format = kv_format(s.kv), .variant = rotate_variant(s)};
  c.shape = heads_shape(s.heads) + " tokens " + std::to_string(s.tokens + s.decode);
  c.tolerance = kv_tolerance(s.kv, s.heads.dim);
  Tokens prompt(s, 0, s.tokens, q_norm, k_norm, seed + 2);
  const AttentionMemory m = add_attention_memory(c, s, prompt.stride, context, q_norm, k_norm);
  cpu::KvCache<double> cache(s.heads, 1, context, s.kv);
  cpu::AttentionScratch<double> scratch(s.heads, s.tokens);
  const auto attend = [&](Tokens& tokens, kernels::Operand qkv) {
    cache.store(0, tokens.position, tokens.k(s), tokens.v(s));
    const u32 width = s.heads.query * s.heads.dim;
    std::vector<double> out(u64(tokens.count) * width);
    const cpu::Rows<double> rows{out.data(), tokens.count, width, width};
    cpu::attention<double>(cache, 0, s.heads, tokens.q(s), tokens.position, scratch, rows);
    c.answers.push_back(tokens.answer(s, u32(qkv), rows));
  };

  const kernels::Operand state = add_state(c, 0, s.tokens), qkv = add_rotate(c, s, m, prompt, state);
  if (s.attend) {
    add_attention(c, s, m, s.prefill_vectors, 1, s.tokens, state, qkv);
    attend(prompt, qkv);
  } else {
    cache.store(0, 0, prompt.k(s), prompt.v(s));
  }
  if (!s.decode) return c;
  Tokens next(s, s.tokens, 1, q_norm, k_norm, seed + 3);
  const kernels::Operand next_state = add_state(c, s.tokens, 1), next_qkv = add_rotate(c, s, m, next, next_state);
  add_attention(c, s, m, s.decode_vectors, s.splits, 1, next_state, next_qkv);
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
  const kernels::Operand qkv = add_rotate(c, s, m, tokens, add_state(c, position, s.tokens));
  c.answers.push_back(tokens.answer(s, u32(qkv), tokens.q(s)));
  const auto stored = [&](kernels::Operand cache, KvType type, const cpu::Rows<double>& rows) {
    CHECK(type == KvType::f32 || type == KvType::f16);
    const u64 count = u64(s.heads.kv) * context * s.heads.dim;
    OpAnswer answer{u32(cache), type == KvType::f32 ? OpAnswer::Type::f32 : OpAnswer::Type::f16,
                    std::vector<double>(count), std::vector<Match>(count, Match::same)};
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
  const kernels::Operand state = add_state(c, context - 1, 1);
  const kernels::Operand q = add_operand(c, memory_of(made_up_floats(width_of(heads), 1)));
  add_attention(c, s, m, s.decode_vectors, s.splits, 1, state, q);
  c.bytes = c.memory[u32(m.k_cache)].size() + c.memory[u32(m.v_cache)].size();
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
  const kernels::SamplingOperands operands{
      .params = add_operand(c, params_of(p)),
      .state = add_operand(c, params_of(state)),
      .logits = add_operand(c, memory_of(logits)),
      .blocks = add_operand(c, Memory(align_up(kernels::sample_blocks_bytes(vocab), 16))),
      .candidates = add_operand(c, Memory(align_up(kernels::sample_candidates_bytes(vocab), 16))),
      .end_tokens = add_operand(c, Memory(16)),
      .next_token = add_operand(c, Memory(16)),
      .sampled = add_operand(c, Memory(16))};
  for (kernels::Launch& launch : kernels::lower_sampling(vocab, p.greedy, operands)) add_step(c, std::move(launch));
  const double token = *cpu::sample(logits, sampling, seed);
  for (const kernels::Operand memory : {operands.next_token, operands.sampled})
    c.answers.push_back({u32(memory), OpAnswer::Type::u32, {token}, {Match::same}});
  return c;
}

// ---- Answers

namespace {

double number_at(const Memory& memory, OpAnswer::Type type, u64 i) {
  if (type == OpAnswer::Type::f16) return f16_to_f32(load_le<u16>(&memory[2 * i]));
  return type == OpAnswer::Type::f32 ? double(load_le<float>(&memory[4 * i])) : double(load_le<u32>(&memory[4 * i]));
}

// The larger of ‖got − answer‖ / ‖answer‖ and the error of the worst number, so that one wrong number among very many
// shows. Sums of independent roundings are spread about evenly: one number may be off by `outlier` times the tolerance,
// of the numbers' root mean square or of itself.
double error_of(const OpAnswer& answer, const Memory& memory) {
  constexpr double infinity = std::numeric_limits<double>::infinity(), outlier = 8;
  double difference = 0, size = 0;
  u64 count = 0;
  for (u64 i = 0; i < answer.values.size(); ++i) {
    const double got = number_at(memory, answer.type, i), wanted = answer.values[i];
    if (answer.match[i] == Match::same && got != wanted) return infinity;
    if (answer.match[i] != Match::near) continue;
    difference += (got - wanted) * (got - wanted);
    size += wanted * wanted;
    ++count;
  }
  if (count == 0) return 0;
  const double mean = std::sqrt(std::max(size, 1e-300) / double(count));
  double error = std::sqrt(difference / std::max(size, 1e-300));
  for (u64 i = 0; i < answer.values.size(); ++i) {
    if (answer.match[i] != Match::near) continue;
    const double wanted = answer.values[i], off = std::abs(number_at(memory, answer.type, i) - wanted);
    error = std::max(error, off / (outlier * std::max(mean, std::abs(wanted))));
  }
  return std::isfinite(error) ? error : infinity;
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
