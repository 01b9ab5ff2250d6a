// libFuzzer: any bytes as a GGUF header, whole and by growing prefixes; what parses is read through every accessor.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "files/gguf.h"

namespace {

using namespace pronk;
using namespace pronk::files;

u64 touch(const Array& array, u32 depth = 0) {
  CHECK(depth <= 8);
  u64 sum = array.count();
  for (u64 i = 0; i < array.count(); ++i) {
    if (array.type() == ValueType::string) {
      for (char c : array.string(i)) sum += u8(c);
    } else if (array.type() == ValueType::array) {
      sum += touch(array.array(i), depth + 1);
    } else {
      sum += array.number(i) > 0;
      if (array.type() != ValueType::float32 && array.type() != ValueType::float64) sum += u64(array.integer(i));
    }
  }
  return sum;
}

u64 touch(const Metadata& metadata) {
  u64 sum = 0;
  for (u64 i = 0; i < metadata.size(); ++i) {
    const std::string key(metadata.key(i));
    CHECK(metadata.has(key));
    if (auto value = metadata.string_at(key)) {
      for (char c : *value) sum += u8(c);
    }
    if (auto value = metadata.array_at(key)) sum += touch(**value);
    sum += metadata.u64_at(key).value_or(1) + u64(metadata.i64_at(key).value_or(1)) + metadata.u32_at(key).value_or(1);
    sum += metadata.f64_at(key).value_or(1) > 0;
    sum += metadata.bool_at(key).value_or(true);
    sum += metadata.strings_at(key).has_value() + metadata.integers_at(key).has_value();
    sum += metadata.numbers_or_null(key).has_value();
  }
  return sum;
}

void check_tensors(const Gguf& gguf, std::optional<u64> file_size) {
  for (const TensorInfo& tensor : gguf.tensors) {
    CHECK(gguf.find(tensor.name) == &tensor);
    CHECK(tensor.offset >= gguf.data_offset && tensor.offset + tensor.bytes <= gguf.end);
    CHECK(tensor.offset % gguf.alignment == 0 && tensor.weights() > 0);
    if (file_size) CHECK(tensor.offset + tensor.bytes <= *file_size);
  }
}

// Returns whether the whole input gave a header.
bool parse(std::span<const u8> bytes, std::optional<u64> file_size) {
  const Result<GgufPrefix> parsed = parse_gguf(bytes, file_size);
  if (!parsed) {
    CHECK(!parsed.error().message.empty() && parsed.error().message.find('\n') == std::string::npos);
    return false;
  }
  if (!parsed->gguf) {
    CHECK(parsed->bytes_needed > bytes.size());
    return false;
  }
  touch(parsed->gguf->metadata);
  check_tensors(*parsed->gguf, file_size);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const u8> bytes(data, size);
  const bool whole = parse(bytes, size);
  const bool open_ended = parse(bytes, std::nullopt);
  CHECK(!whole || open_ended);
  for (std::size_t prefix = 0; prefix < size; prefix += 1 + size / 8) parse(bytes.first(prefix), size);
  return 0;
}
