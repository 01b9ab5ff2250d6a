#include "files/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "files/ggml_types.h"

namespace pronk::files {

namespace {

template <class T>
void put(std::vector<u8>& out, T value) {
  const u8* bytes = reinterpret_cast<const u8*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

void put_string(std::vector<u8>& out, std::string_view text) {
  put(out, u64(text.size()));
  out.insert(out.end(), text.begin(), text.end());
}

template <class T>
void put_array(std::vector<u8>& out, ValueType type, std::span<const T> values) {
  put(out, u32(type));
  put(out, u64(values.size()));
  const u8* bytes = reinterpret_cast<const u8*>(values.data());
  out.insert(out.end(), bytes, bytes + values.size_bytes());
}

Status put_padding(const Sink& sink, u64 count) {
  const std::vector<u8> zeros(count);
  return count == 0 ? Status() : sink(zeros);
}

}  // namespace

GgufWriter::GgufWriter(u32 alignment) : alignment_(alignment) {
  CHECK(std::has_single_bit(alignment));
  if (alignment != 32) add_u32("general.alignment", alignment);
}

void GgufWriter::key(std::string_view key, ValueType type) {
  put_string(metadata_, key);
  put(metadata_, u32(type));
  ++metadata_count_;
}

void GgufWriter::add_entry(std::span<const u8> raw) {
  metadata_.insert(metadata_.end(), raw.begin(), raw.end());
  ++metadata_count_;
}

void GgufWriter::add_u8(std::string_view name, u8 value) {
  key(name, ValueType::uint8);
  put(metadata_, value);
}
void GgufWriter::add_u16(std::string_view name, u16 value) {
  key(name, ValueType::uint16);
  put(metadata_, value);
}
void GgufWriter::add_u32(std::string_view name, u32 value) {
  key(name, ValueType::uint32);
  put(metadata_, value);
}
void GgufWriter::add_i32(std::string_view name, i32 value) {
  key(name, ValueType::int32);
  put(metadata_, value);
}
void GgufWriter::add_u64(std::string_view name, u64 value) {
  key(name, ValueType::uint64);
  put(metadata_, value);
}
void GgufWriter::add_f32(std::string_view name, float value) {
  key(name, ValueType::float32);
  put(metadata_, value);
}
void GgufWriter::add_f64(std::string_view name, double value) {
  key(name, ValueType::float64);
  put(metadata_, value);
}
void GgufWriter::add_bool(std::string_view name, bool value) {
  key(name, ValueType::boolean);
  put(metadata_, u8(value));
}
void GgufWriter::add_string(std::string_view name, std::string_view value) {
  key(name, ValueType::string);
  put_string(metadata_, value);
}
void GgufWriter::add_strings(std::string_view name, std::span<const std::string> values) {
  key(name, ValueType::array);
  put(metadata_, u32(ValueType::string));
  put(metadata_, u64(values.size()));
  for (const std::string& value : values) put_string(metadata_, value);
}
void GgufWriter::add_i32s(std::string_view name, std::span<const i32> values) {
  key(name, ValueType::array);
  put_array(metadata_, ValueType::int32, values);
}
void GgufWriter::add_f32s(std::string_view name, std::span<const float> values) {
  key(name, ValueType::array);
  put_array(metadata_, ValueType::float32, values);
}

void GgufWriter::add_tensor(std::string_view name, u32 type, std::span<const u64> shape) {
  const GgmlType* known = find_ggml_type(type);
  CHECK(known != nullptr && known->block_weights != 0);
  CHECK(shape.size() >= 1 && shape.size() <= 4 && shape[0] % known->block_weights == 0);
  u64 bytes = shape[0] / known->block_weights * known->block_bytes;
  for (u64 rows : shape.subspan(1)) bytes *= rows;
  tensors_.push_back({std::string(name), type, {shape.begin(), shape.end()}, data_bytes_, bytes});
  data_bytes_ = align_up(data_bytes_ + bytes, alignment_);
}

std::vector<u8> GgufWriter::header() const {
  std::vector<u8> out = {'G', 'G', 'U', 'F'};
  put(out, u32{3});
  put(out, u64(tensors_.size()));
  put(out, metadata_count_);
  out.insert(out.end(), metadata_.begin(), metadata_.end());
  for (const Tensor& tensor : tensors_) {
    put_string(out, tensor.name);
    put(out, u32(tensor.shape.size()));
    for (u64 size : tensor.shape) put(out, size);
    put(out, tensor.type);
    put(out, tensor.offset);
  }
  if (!tensors_.empty()) out.resize(align_up(out.size(), alignment_));
  return out;
}

Status GgufWriter::write(const Sink& sink, const std::function<Status(u64 index, const Sink& sink)>& data) const {
  PRONK_OK(sink(header()));
  for (u64 i = 0; i < tensors_.size(); ++i) {
    u64 written = 0;
    PRONK_OK(data(i, [&](std::span<const u8> bytes) {
      written += bytes.size();
      return sink(bytes);
    }));
    CHECK(written == tensors_[i].bytes);
    PRONK_OK(put_padding(sink, align_up(written, alignment_) - written));
  }
  return {};
}

}  // namespace pronk::files
