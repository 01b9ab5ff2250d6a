#include "convert/job.h"

#include <algorithm>
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

// Rows of `row` bytes from columns, in squares that a cache holds.
void transpose(const u8* columns, u64 row, u64 rows, u8* out) {
  constexpr u64 side = 64;
  for (u64 first = 0; first < rows; first += side) {
    for (u64 at = 0; at < row; at += side) {
      for (u64 r = first; r < std::min(rows, first + side); ++r) {
        for (u64 i = at; i < std::min(row, at + side); ++i) out[r * row + i] = columns[i * rows + r];
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

}  // namespace

Making making_of(const files::TensorInfo& tensor) {
  return {.type = tensor.type,
          .stored = tensor.stored,
          .scales_apart = tensor.scales.has_value(),
          .added = tensor.added,
          .row = tensor.shape[0] * tensor.shape[1],
          .rows = tensor.shape[2] * tensor.shape[3]};
}

Result<Job> job_of(const files::TensorInfo& tensor) {
  Job job{.name = tensor.name, .tensor = &tensor, .type = tensor.added != 0 ? f32_type : tensor.type};
  job.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
  if (!job.copied() && !unit_of(making_of(tensor)))
    return fail(ErrorCode::unsupported, "tensor " + quoted(tensor.name) + " has a type that pronk does not read");
  return job;
}

std::vector<Input> inputs_of(const files::TensorInfo& tensor) {
  std::vector<Input> inputs{{tensor.file, tensor.offset, tensor.bytes}};
  if (tensor.scales) inputs.push_back({tensor.scales->file, tensor.scales->offset, tensor.scales->bytes});
  return inputs;
}

std::optional<Unit> unit_of(const Making& making) {
  if (making.stored == Stored::columns) {
    if (making.row == 0 || making.rows > ~u32{0} / making.row) return std::nullopt;
    const u32 bytes = u32(making.row * making.rows);
    return Unit{bytes, {bytes, 0}};
  }
  if (making.stored == Stored::numbers) return Unit{2 + group, {group, 0}};
  if (making.scales_apart) {
    const formats::Pieces* pieces = formats::find_pieces(making.type);
    return pieces ? std::optional(Unit{pieces->bytes[0] + pieces->bytes[1], pieces->bytes}) : std::nullopt;
  }
  const u32 type = making.type;
  if (type != f32_type && type != f16_type && type != bf16_type) return std::nullopt;
  return Unit{sizeof(float), {type == f32_type ? 4u : 2u, 0}};
}

std::vector<u8> make(const Making& making, u64 count, std::span<const u8* const> inputs) {
  const std::optional<Unit> unit = unit_of(making);
  CHECK(unit);
  std::vector<u8> out(count * unit->bytes);
  if (making.stored == Stored::columns) {
    CHECK(count == 1);
    transpose(inputs[0], making.row, making.rows, out.data());
  } else if (making.stored == Stored::numbers) {
    make_unscaled(inputs[0], count, out.data());
  } else if (making.scales_apart) {
    for (u32 i = 0; i < 2; ++i) formats::find_pieces(making.type)->place(i, inputs[i], count, out.data());
  } else {
    const float divisor = making.stored == Stored::of_127 ? 127 : 1;
    for (u64 i = 0; i < count; ++i) {
      const float number = read_float(making.type, inputs[0] + i * unit->of_inputs[0]) / divisor + making.added;
      std::memcpy(out.data() + i * sizeof number, &number, sizeof number);
    }
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
