#include "convert/job.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/half.h"
#include "base/quote.h"
#include "formats/pieces.h"
#include "text/gguf_keys.h"

namespace pronk::convert {

namespace {

constexpr u32 f32_type = 0, f16_type = 1, bf16_type = 30;

float read_float(u32 type, const u8* at) {
  if (type == f32_type) return load_le<float>(at);
  const u16 half = load_le<u16>(at);
  return type == f16_type ? f16_to_f32(half) : bf16_to_f32(half);
}

}  // namespace

Result<Job> job_of(const files::TensorInfo& tensor) {
  Job job{.name = tensor.name, .tensor = &tensor, .type = tensor.added != 0 ? f32_type : tensor.type};
  job.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
  if (!job.copied() && !unit_of(tensor.type, tensor.scales.has_value()))
    return fail(ErrorCode::unsupported, "tensor " + quoted(tensor.name) + " has a type that pronk does not read");
  return job;
}

std::vector<Input> inputs_of(const files::TensorInfo& tensor) {
  std::vector<Input> inputs{{tensor.file, tensor.offset, tensor.bytes}};
  if (tensor.scales) inputs.push_back({tensor.scales->file, tensor.scales->offset, tensor.scales->bytes});
  return inputs;
}

std::optional<Unit> unit_of(u32 type, bool scales_apart) {
  if (scales_apart) {
    const formats::Pieces* pieces = formats::find_pieces(type);
    return pieces ? std::optional(Unit{pieces->bytes[0] + pieces->bytes[1], pieces->bytes}) : std::nullopt;
  }
  if (type != f32_type && type != f16_type && type != bf16_type) return std::nullopt;
  return Unit{sizeof(float), {type == f32_type ? 4u : 2u, 0}};
}

std::vector<u8> make(u32 type, bool scales_apart, float added, u64 count, std::span<const u8* const> inputs) {
  const std::optional<Unit> unit = unit_of(type, scales_apart);
  CHECK(unit);
  std::vector<u8> out(count * unit->bytes);
  if (scales_apart) {
    for (u32 i = 0; i < 2; ++i) formats::find_pieces(type)->place(i, inputs[i], count, out.data());
    return out;
  }
  for (u64 i = 0; i < count; ++i) {
    const float number = read_float(type, inputs[0] + i * unit->of_inputs[0]) + added;
    std::memcpy(out.data() + i * sizeof number, &number, sizeof number);
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
  if (!tokenizer.tokenizer.empty()) return text::write_gguf_keys(tokenizer, out);
  if (!metadata.has("tokenizer.ggml.model")) out.add_string("tokenizer.ggml.model", "none");
  return {};
}

}  // namespace pronk::convert
