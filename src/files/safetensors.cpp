#include "files/safetensors.h"

#include <algorithm>
#include <tuple>

#include "base/bytes.h"
#include "base/quote.h"
#include "files/json.h"

namespace pronk::files {

namespace {

constexpr u64 length_bytes = 8;

constexpr Dtype dtypes[] = {
    {"F32", 32, 0},
    {"F16", 16, 1},
    {"BF16", 16, 30},
    {"I8", 8, 24},
    {"I16", 16, 25},
    {"I32", 32, 26},
    {"I64", 64, 27},
    {"F64", 64, 28},
    {"BOOL", 8, no_ggml_type},
    {"U8", 8, no_ggml_type},
    {"U16", 16, no_ggml_type},
    {"U32", 32, no_ggml_type},
    {"U64", 64, no_ggml_type},
    {"F8_E5M2", 8, no_ggml_type},
    {"F8_E4M3", 8, no_ggml_type},
    {"F8_E8M0", 8, no_ggml_type},
    {"F6_E2M3", 6, no_ggml_type},
    {"F6_E3M2", 6, no_ggml_type},
    {"F4", 4, no_ggml_type},
    {"C64", 64, no_ggml_type},
};

Result<const Dtype*> read_dtype(JsonValue entry) {
  PRONK_TRY(const std::string_view name, entry.string_at("dtype"));
  const auto found = std::ranges::find(dtypes, name, &Dtype::name);
  if (found == std::end(dtypes))
    return fail(ErrorCode::bad_model, "'dtype' is " + quoted(name) + ": there is none such");
  return &*found;
}

Result<std::vector<u64>> read_shape(JsonValue entry) {
  PRONK_TRY(const JsonValue dimensions, entry.array_at("shape"));
  std::vector<u64> shape;
  for (const JsonValue dimension : dimensions) {
    if (shape.size() == max_safetensors_rank)
      return dimensions.error("has more than " + std::to_string(max_safetensors_rank) + " dimensions");
    PRONK_TRY(const u64 size, dimension.integer());
    shape.push_back(size);
  }
  return shape;
}

// Bytes of the tensor; an error when they are no whole number that fits 64 bits.
Result<u64> bytes_of(const SafeTensor& tensor) {
  u64 bits = tensor.dtype->bits;
  if (std::ranges::find(tensor.shape, 0u) != tensor.shape.end()) return u64{0};
  for (const u64 size : tensor.shape) {
    if (bits > ~u64{0} / size) return fail(ErrorCode::bad_model, "'shape' overflows 64 bits");
    bits *= size;
  }
  if (bits % 8 != 0) return fail(ErrorCode::bad_model, "'shape' is no whole number of bytes");
  return bits / 8;
}

Result<SafeTensor> read_tensor(JsonValue entry) {
  SafeTensor tensor{.name = std::string(entry.key())};
  PRONK_OK(entry.object());
  PRONK_TRY(tensor.dtype, read_dtype(entry));
  PRONK_TRY(tensor.shape, read_shape(entry));
  PRONK_TRY(const JsonValue offsets, entry.array_at("data_offsets"));
  std::vector<u64> ends;
  for (const JsonValue offset : offsets) {
    if (ends.size() == 2) return offsets.error("has more than two numbers");
    PRONK_TRY(const u64 end, offset.integer());
    ends.push_back(end);
  }
  if (ends.size() < 2 || ends[1] < ends[0]) return offsets.error("is not two numbers in order");
  PRONK_TRY(tensor.bytes, bytes_of(tensor));
  if (ends[1] - ends[0] != tensor.bytes) {
    return offsets.error("spans " + std::to_string(ends[1] - ends[0]) + " bytes, but dtype and shape make " +
                         std::to_string(tensor.bytes));
  }
  tensor.offset = ends[0];
  return tensor;
}

Status check_metadata(JsonValue metadata) {
  PRONK_OK(metadata.object());
  for (const JsonValue member : metadata) PRONK_OK(member.string());
  return {};
}

// Sorts the tensors, which must cover the data without a hole, and makes offsets count from the start of the file.
Status place(Safetensors& file, std::optional<u64> file_size) {
  std::ranges::sort(file.tensors, {}, [](const SafeTensor& t) { return std::tuple(t.offset, t.bytes); });
  file.end = file.data_offset;
  for (SafeTensor& tensor : file.tensors) {
    const u64 offset = tensor.offset;
    if (offset != file.end - file.data_offset) {
      return fail(ErrorCode::bad_model, "tensor " + quoted(tensor.name) + ": its data starts at byte " +
                                            std::to_string(offset) + " of the data, where that before it ends at " +
                                            std::to_string(file.end - file.data_offset));
    }
    if (tensor.bytes > ~u64{0} / 2 - file.end) {
      return fail(ErrorCode::bad_model, "tensor " + quoted(tensor.name) + ": its end overflows 64 bits");
    }
    tensor.offset = file.end;
    file.end += tensor.bytes;
  }
  if (file_size && file.end != *file_size) {
    return fail(ErrorCode::bad_model, "the tensors end at byte " + std::to_string(file.end) +
                                          ", but the file at byte " + std::to_string(*file_size));
  }
  return {};
}

Result<Safetensors> read_header(std::span<const u8> text, std::optional<u64> file_size) {
  PRONK_TRY(const Json json, Json::parse(std::string(text.begin(), text.end())));
  PRONK_TRY(const JsonValue root, json.root().object());
  Safetensors file{.data_offset = length_bytes + text.size()};
  for (const JsonValue entry : root) {
    if (entry.key() == "__metadata__") {
      PRONK_OK(check_metadata(entry));
      continue;
    }
    auto tensor = read_tensor(entry);
    if (!tensor) return fail(tensor.error().code, "tensor " + quoted(entry.key()) + ": " + tensor.error().message);
    file.tensors.push_back(std::move(*tensor));
  }
  PRONK_OK(place(file, file_size));
  return file;
}

}  // namespace

Result<SafetensorsPrefix> parse_safetensors(std::span<const u8> prefix, std::optional<u64> file_size) {
  if (file_size && *file_size < length_bytes) return fail(ErrorCode::bad_model, "too short for a safetensors file");
  if (prefix.size() < length_bytes) return SafetensorsPrefix{.bytes_needed = length_bytes};
  const u64 length = load_le<u64>(prefix.data());
  if (length > max_safetensors_header || (file_size && length > *file_size - length_bytes)) {
    return fail(ErrorCode::bad_model,
                "not a safetensors file, or a damaged one: its header would have " + std::to_string(length) + " bytes");
  }
  if (prefix.size() - length_bytes < length) return SafetensorsPrefix{.bytes_needed = length_bytes + length};
  PRONK_TRY(Safetensors file, read_header(prefix.subspan(length_bytes, length), file_size));
  return SafetensorsPrefix{.file = std::move(file)};
}

}  // namespace pronk::files
