#include "convert/job.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/half.h"
#include "base/quote.h"
#include "formats/pieces.h"
#include "text/gguf_keys.h"
#include "text/rank_keys.h"

namespace pronk::convert {

namespace {

using files::Stored;

constexpr u32 f32_type = 0, f16_type = 1, bf16_type = 30;
constexpr u32 group = 32;  // numbers of a block with one scale

float read_float(u32 type, const u8* at) {
  if (type == f32_type) return load_le<float>(at);
  const u16 half = load_le<u16>(at);
  return type == f16_type ? f16_to_f32(half) : bf16_to_f32(half);
}

// Rows of `row` elements from every step-th column, in squares that a cache holds.
template <u32 bytes>
void transpose(const u8* columns, u64 row, u64 rows, u64 step, u8* out) {
  constexpr u64 side = 64;
  for (u64 first = 0; first < rows; first += side) {
    for (u64 at = 0; at < row; at += side) {
      for (u64 r = first; r < std::min(rows, first + side); ++r) {
        for (u64 i = at; i < std::min(row, at + side); ++i)
          std::memcpy(out + (r * row + i) * bytes, columns + (i * rows + r) * step * bytes, bytes);
      }
    }
  }
}

// Blocks with the scale 1.
void make_unscaled(const u8* numbers, u64 count, u8* blocks) {
  const u16 one = f32_to_f16(1);
  for (u64 b = 0; b < count; ++b, numbers += group, blocks += sizeof one + group) {
    std::memcpy(blocks, &one, sizeof one);
    std::memcpy(blocks + sizeof one, numbers, group);
  }
}

bool is_float(u32 type) { return type == f32_type || type == f16_type || type == bf16_type; }

u32 element_bytes(u32 type) { return type == f32_type ? 4 : is_float(type) ? 2 : 1; }

void transpose_rows(const Making& making, const u8* columns, u8* out) {
  const u32 bytes = element_bytes(making.type);
  const auto to_rows = bytes == 4 ? transpose<4> : bytes == 2 ? transpose<2> : transpose<1>;
  const u64 step = making.stored == Stored::columns ? 1 : 2;
  to_rows(columns + (making.stored == Stored::odd_columns ? bytes : 0), making.row / bytes, making.rows, step, out);
}

bool takes_columns(Stored stored) {
  return stored == Stored::columns || stored == Stored::even_columns || stored == Stored::odd_columns;
}

// An f16 has all bits of a bf16 from 2^−14 on.
void make_ternary(const Making& making, const u8* codes, const u8* scale, u8* out) {
  const u64 blocks = making.row / formats::ternary_bytes, quarter = making.rows / 4;
  const u16 d = f32_to_f16(bf16_to_f32(load_le<u16>(scale)));
  for (u64 row = 0; row < making.rows; ++row, out += making.row) {
    const u8* from = codes + row % quarter * blocks * formats::ternary_weights;
    formats::place_ternary(from, u32(row / quarter * 2), d, blocks, out);
  }
}

bool takes_every_second(Stored stored) { return stored == Stored::even_rows || stored == Stored::odd_rows; }

// Of rows, every second.
std::optional<Unit> unit_of_two_rows(const Making& making) {
  if (making.row == 0 || making.row > u32{1} << 30) return std::nullopt;
  const u32 row = u32(making.row);
  if (!making.scales_apart) return Unit{row, {2 * row, 0}};
  const formats::Pieces* pieces = formats::find_pieces(making.type);
  if (!pieces || row % (pieces->bytes[0] + pieces->bytes[1]) != 0) return std::nullopt;
  const u32 blocks = row / (pieces->bytes[0] + pieces->bytes[1]);
  return Unit{row, {2 * blocks * pieces->bytes[0], 2 * blocks * pieces->bytes[1]}};
}

void take_rows(const Making& making, const Unit& unit, u64 count, std::span<const u8* const> inputs, u8* out) {
  const u32 nth = making.stored == Stored::odd_rows;
  const formats::Pieces* pieces = making.scales_apart ? formats::find_pieces(making.type) : nullptr;
  for (u64 row = 0; row < count; ++row, out += unit.bytes) {
    const auto at = [&](u32 i) { return inputs[i] + (2 * row + nth) * (unit.of_inputs[i] / 2); };
    if (!pieces) {
      std::memcpy(out, at(0), unit.bytes);
      continue;
    }
    for (u32 i = 0; i < 2; ++i) pieces->place(i, at(i), unit.of_inputs[0] / 2 / pieces->bytes[0], out);
  }
}

void make_floats(const Making& making, u64 count, const u8* input, u8* out) {
  const u32 bytes = element_bytes(making.type);
  const float divisor = making.stored == Stored::of_127 ? 127 : 1;
  for (u64 i = 0; i < count; ++i) {
    float number = read_float(making.type, input + i * bytes) / divisor + making.added;
    if (making.stored == Stored::logs) number = -std::exp(number);
    std::memcpy(out + i * sizeof number, &number, sizeof number);
  }
}

Part part_of(const files::TensorInfo& tensor) {
  Part part{{.type = tensor.type,
             .stored = tensor.stored,
             .scales_apart = tensor.scales.has_value(),
             .added = tensor.added,
             .row = tensor.shape[0] * tensor.shape[1],
             .rows = tensor.shape[2] * tensor.shape[3]},
            {{tensor.file, tensor.offset, tensor.bytes}}};
  if (tensor.scales) part.inputs.push_back({tensor.scales->file, tensor.scales->offset, tensor.scales->bytes});
  return part;
}

Part part_of(const files::TensorPart& from, u32 type) {
  Part part{{.type = type,
             .stored = from.stored,
             .scales_apart = from.scales.has_value(),
             .row = from.row,
             .rows = from.rows},
            {{from.file, from.offset, from.bytes}}};
  if (from.scales) part.inputs.push_back({from.scales->file, from.scales->offset, from.scales->bytes});
  return part;
}

}  // namespace

bool is_made_whole(Stored stored) { return takes_columns(stored) || stored == Stored::quarters; }

bool Job::copied() const { return tensor->parts.empty() && part_of(*tensor).making.copies(); }

u64 Part::bytes() const {
  if (making.copies()) return inputs[0].bytes;
  const Unit unit = *unit_of(making);
  return inputs[0].bytes / unit.of_inputs[0] * unit.bytes;
}

std::vector<Part> parts_of(const files::TensorInfo& tensor) {
  if (tensor.parts.empty()) return {part_of(tensor)};
  std::vector<Part> parts;
  for (const files::TensorPart& part : tensor.parts) parts.push_back(part_of(part, tensor.type));
  return parts;
}

Result<Job> job_of(const files::TensorInfo& tensor) {
  const bool floats = tensor.added != 0 || tensor.stored == Stored::logs;
  Job job{.name = tensor.name, .tensor = &tensor, .type = floats ? f32_type : tensor.type};
  job.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
  for (const Part& part : parts_of(tensor)) {
    if (!part.making.copies() && !unit_of(part.making))
      return fail(ErrorCode::unsupported, "tensor " + quoted(tensor.name) + " has a type that pronk does not read");
  }
  return job;
}

std::optional<Unit> unit_of(const Making& making) {
  if (takes_columns(making.stored)) {
    const u32 of_all = making.stored == Stored::columns ? 1 : 2;
    if (making.row == 0 || making.rows > ~u32{0} / of_all / making.row) return std::nullopt;
    const u32 bytes = u32(making.row * making.rows);
    return Unit{bytes, {of_all * bytes, 0}};
  }
  if (making.stored == Stored::quarters) {
    if (making.row == 0 || making.rows > ~u32{0} / making.row || making.rows % 4 != 0) return std::nullopt;
    const u64 quarter = making.row / formats::ternary_bytes * formats::ternary_weights * making.rows / 4;
    return Unit{u32(making.row * making.rows), {u32(quarter), 2}};
  }
  if (making.stored == Stored::numbers) return Unit{2 + group, {group, 0}};
  if (takes_every_second(making.stored)) return unit_of_two_rows(making);
  if (making.scales_apart) {
    const formats::Pieces* pieces = formats::find_pieces(making.type);
    return pieces ? std::optional(Unit{pieces->bytes[0] + pieces->bytes[1], pieces->bytes}) : std::nullopt;
  }
  if (!is_float(making.type)) return std::nullopt;
  return Unit{sizeof(float), {element_bytes(making.type), 0}};
}

std::vector<u8> make(const Making& making, u64 count, std::span<const u8* const> inputs) {
  const std::optional<Unit> unit = unit_of(making);
  CHECK(unit);
  std::vector<u8> out(count * unit->bytes);
  CHECK(count == 1 || !is_made_whole(making.stored));
  if (takes_columns(making.stored)) {
    transpose_rows(making, inputs[0], out.data());
  } else if (making.stored == Stored::quarters) {
    make_ternary(making, inputs[0], inputs[1], out.data());
  } else if (making.stored == Stored::numbers) {
    make_unscaled(inputs[0], count, out.data());
  } else if (takes_every_second(making.stored)) {
    take_rows(making, *unit, count, inputs, out.data());
  } else if (making.scales_apart) {
    for (u32 i = 0; i < 2; ++i) formats::find_pieces(making.type)->place(i, inputs[i], count, out.data());
  } else {
    make_floats(making, count, inputs[0], out.data());
  }
  return out;
}

Status write_metadata(const files::Metadata& metadata, const text::TokenizerFiles& tokenizer,
                      std::span<const std::string_view> replaced, files::GgufWriter& out) {
  for (u64 i = 0; i < metadata.size(); ++i) {
    const std::string_view key = metadata.key(i);
    const bool left_out =
        key.starts_with("split.") || key == "general.alignment" || std::ranges::find(replaced, key) != replaced.end();
    if (!left_out) out.add_entry(metadata.raw(i));
  }
  if (!tokenizer.ranks.empty()) return text::write_rank_keys(tokenizer.ranks, out);
  if (!tokenizer.tokenizer.empty()) return text::write_gguf_keys(tokenizer, out);
  if (!metadata.has("tokenizer.ggml.model")) out.add_string("tokenizer.ggml.model", "none");
  return {};
}

}  // namespace pronk::convert
