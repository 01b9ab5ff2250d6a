// GGUF files made in memory for tests: right ones through GgufWriter, and wrong ones written field by field.
#pragma once

#include <cstring>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "files/gguf_writer.h"

namespace pronk::test {

// What the writer would put into a file. data(i) gives the bytes of tensor i.
template <class F>
std::vector<u8> write_gguf(const files::GgufWriter& writer, F data) {
  std::vector<u8> out;
  const Status status = writer.write(
      [&](std::span<const u8> bytes) -> Status {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return {};
      },
      [&](u64 index, const files::Sink& sink) -> Status {
        const std::vector<u8> bytes = data(index);
        return sink(bytes);
      });
  return status ? out : std::vector<u8>{};
}

// With tensors of zeros.
inline std::vector<u8> write_gguf(const files::GgufWriter& writer) {
  return write_gguf(writer, [&](u64 index) { return std::vector<u8>(writer.tensor_bytes(index)); });
}

// A header written with no check at all. Counts are what the entries add up to unless set.
class RawGguf {
 public:
  u32 magic = 0x46554747;
  u32 version = 3;
  u64 tensor_count = 0;
  u64 metadata_count = 0;

  template <class T>
  RawGguf& put(T value) {
    const u8* bytes = reinterpret_cast<const u8*>(&value);
    body_.insert(body_.end(), bytes, bytes + sizeof value);
    return *this;
  }
  RawGguf& put(std::string_view text) {
    put(u64(text.size()));
    body_.insert(body_.end(), text.begin(), text.end());
    return *this;
  }
  // A metadata entry up to its value, which is put next.
  RawGguf& key(std::string_view key, u32 type) {
    ++metadata_count;
    return put(key).put(type);
  }
  RawGguf& tensor(std::string_view name, std::initializer_list<u64> shape, u32 type, u64 offset) {
    ++tensor_count;
    put(name).put(u32(shape.size()));
    for (u64 size : shape) put(size);
    return put(type).put(offset);
  }
  // The header and `data` bytes behind it, which start at the next multiple of 32.
  std::vector<u8> bytes(u64 data = 0) const {
    std::vector<u8> out(24);
    std::memcpy(&out[0], &magic, 4);
    std::memcpy(&out[4], &version, 4);
    std::memcpy(&out[8], &tensor_count, 8);
    std::memcpy(&out[16], &metadata_count, 8);
    out.insert(out.end(), body_.begin(), body_.end());
    if (data > 0) out.resize(align_up(out.size(), 32) + data);
    return out;
  }

 private:
  std::vector<u8> body_;
};

}  // namespace pronk::test
