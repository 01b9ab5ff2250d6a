#include "engine/op_case_parts.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/half.h"
#include "formats/additive.h"
#include "kernels/fold_control_flow.h"

namespace pronk::engine {
namespace {

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

}  // namespace

Memory memory_of_bytes(const void* data, u64 size) {
  Memory bytes(std::max<u64>(16, align_up(size, 16)));
  if (size > 0) std::memcpy(bytes.data(), data, size);
  return bytes;
}

std::vector<double> doubles(std::span<const float> from) { return {from.begin(), from.end()}; }

OpAnswer unchanged(u32 memory, std::span<const float> before) {
  return {memory, OpAnswer::Type::f32, doubles(before), std::vector<Match>(before.size(), Match::same)};
}

void expect(OpAnswer& answer, u64 at, double value, Match match) {
  answer.values[at] = value;
  answer.match[at] = match;
}

double sum_tolerance(u32 k) { return 2e-6 * std::sqrt(double(k)); }

namespace {

u32 add_memory(OpCase& c, Memory bytes) {
  c.memory.push_back(std::move(bytes));
  return u32(c.memory.size() - 1);
}

}  // namespace

kernels::Operand add_operand(OpCase& c, Memory bytes) { return kernels::Operand(add_memory(c, std::move(bytes))); }

kernels::Operand add_state(OpCase& c, u32 position, u32 rows) {
  kernels::StepState state;
  state.position = position, state.rows = rows;
  return add_operand(c, params_of(state));
}

void add_step(OpCase& c, kernels::Launch launch, u32 tokens) {
  OpStep step{kernels::folded(std::move(launch.pipeline)), {}, launch.scale(launch.grid, tokens)};
  if (!launch.params.empty()) step.memory.push_back(add_memory(c, std::move(launch.params)));
  for (const kernels::Operand operand : launch.operands) step.memory.push_back(u32(operand));
  if (launch.table) {
    const auto words = launch.table->gpu_table();
    step.memory.push_back(add_memory(c, memory_of_bytes(words.data(), words.size_bytes())));
  }
  c.steps.push_back(std::move(step));
}

std::string by(u64 a, u64 b) { return std::to_string(a) + " x " + std::to_string(b); }
std::string tokens_shape(u32 tokens) { return " tokens " + std::to_string(tokens); }

std::string function_name(graph::Function function) {
  std::string text;
  each_enumerator(function, [&](const char* name, graph::Function each) {
    if (each == function) text = name;
  });
  return text;
}

// ---- Rows

MadeUpRows::MadeUpRows(u32 w, u32 t, u32 seed, float spread, float middle)
    : width(w), tokens(t), columns{.base = 8, .stride = u32(align_up(w, 8)) + 16, .padding = 0} {
  floats = made_up_floats(columns.base + u64(tokens) * columns.stride, seed, spread, middle);
}

std::vector<double> MadeUpRows::reals() const {
  std::vector<double> reals;
  for (u32 t = 0; t < tokens; ++t) {
    const float* row = &floats[columns.base + u64(t) * columns.stride];
    reals.insert(reals.end(), row, row + width);
  }
  return reals;
}

cpu::Rows<double> rows_of(std::vector<double>& reals, u32 width) {
  return {reals.data(), u32(reals.size() / width), width, width};
}

OutputRows::OutputRows(OpCase& c, u32 width, u32 tokens, u32 seed)
    : before(width, tokens, seed), operand(add_operand(c, memory_of(before.floats))) {}

u32 OutputRows::padding() const { return u32(align_up(before.width, 8)) - before.width; }

kernels::Columns OutputRows::columns() const {
  kernels::Columns columns = before.columns;
  columns.padding = padding();
  return columns;
}

OpAnswer OutputRows::answer(std::span<const double> reals) const {
  CHECK(reals.size() == u64(before.tokens) * before.width);
  OpAnswer answer = unchanged(u32(operand), before.floats);
  for (u32 t = 0; t < before.tokens; ++t) {
    const u64 at = before.columns.base + u64(t) * before.columns.stride;
    for (u32 i = 0; i < before.width; ++i) expect(answer, at + i, reals[u64(t) * before.width + i]);
    for (u32 i = 0; i < padding(); ++i) expect(answer, at + before.width + i, 0, Match::same);
  }
  return answer;
}

// ---- Weights

MadeUpMatrix::MadeUpMatrix(const formats::Format& f, u32 r, u32 c, u32 seed)
    : format(f),
      rows(r),
      cols(c),
      file(made_up_blocks(f, u64(r) * (c / f.block_weights), seed, 1 / std::sqrt(float(c)))) {
  if (formats::is_additive(f)) {
    books = made_up_floats(u64(formats::additive_books(f)) * book_entries * f.block_weights, seed + 1);
    for (float& number : books) number = f16_to_f32(f32_to_f16(number));
    scales = made_up_floats(r, seed + 2, 0.3f / std::sqrt(float(c)), 1 / std::sqrt(float(c)));
  }
  gpu = part(0, r, extent);
}

cpu::Matrix MadeUpMatrix::on_cpu(u32 first, u32 count) const {
  return cpu::Matrix{&format, file.data(), rows, cols, {books.data(), scales.data(), book_entries}}.some_rows(first,
                                                                                                              count);
}

Memory MadeUpMatrix::part(u32 first, u32 count, formats::GpuExtent& layout) const {
  layout = books.empty() ? formats::gpu_extent(format, count, cols)
                         : formats::additive_extent(format, count, cols, books.size());
  Memory bytes(layout.bytes);
  const u64 row_blocks = cols / format.block_weights;
  const u64 padded_blocks = formats::gpu_row_weights(format, cols) / format.block_weights;
  for (u64 row = 0; row < count; ++row) {
    u8* planes[formats::max_planes] = {};
    for (u32 p = 0; p < format.gpu.plane_count; ++p) {
      planes[p] = bytes.data() + layout.plane_offset[p] + row * padded_blocks * format.gpu.plane_bytes[p];
    }
    format.repack(file.data() + (first + row) * row_blocks * format.block_bytes, row_blocks, planes);
  }
  if (books.empty()) return bytes;
  for (u64 i = 0; i < books.size(); ++i) {
    const u16 half = f32_to_f16(books[i]);
    std::memcpy(bytes.data() + layout.plane_offset[1] + i * sizeof half, &half, sizeof half);
  }
  std::memcpy(bytes.data() + layout.plane_offset[2], &scales[first], count * sizeof(float));
  return bytes;
}

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
  } else if (!format.decode) {  // codes of an additive format: any are good
    Bits random(seed);
    for (u8& byte : std::span(bytes).first(own * size)) byte = u8(random.next());
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

}  // namespace pronk::engine
