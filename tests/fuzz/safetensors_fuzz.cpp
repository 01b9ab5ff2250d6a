// libFuzzer: any bytes as a safetensors header, whole and by growing prefixes; what parses lies within the file.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "files/safetensors.h"

namespace {

using namespace pronk;
using namespace pronk::files;

// Returns whether the whole input gave a header.
bool parse(std::span<const u8> bytes, std::optional<u64> file_size) {
  const Result<SafetensorsPrefix> parsed = parse_safetensors(bytes, file_size);
  if (!parsed) {
    CHECK(!parsed.error().message.empty() && parsed.error().message.find('\n') == std::string::npos);
    return false;
  }
  if (!parsed->file) {
    CHECK(parsed->bytes_needed > bytes.size());
    return false;
  }
  u64 end = parsed->file->data_offset;
  for (const SafeTensor& tensor : parsed->file->tensors) {
    CHECK(tensor.offset == end && tensor.dtype != nullptr && tensor.shape.size() <= max_safetensors_rank);
    end += tensor.bytes;
  }
  CHECK(end == parsed->file->end && (!file_size || end == *file_size));
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
