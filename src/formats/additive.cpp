#include "formats/additive.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/bytes.h"

namespace pronk::formats {

namespace {

constexpr u32 code_types[] = {24, 25};  // GGML's I8 and I16
constexpr u32 book_counts[] = {1, 2, 4, 8}, group_sizes[] = {8, 16, 32};
constexpr u32 lanes = 8;

template <u32 bytes>
void copy_codes(const u8* blocks, u64 count, std::span<u8* const> planes) {
  std::memcpy(planes[0], blocks, count * bytes);
}
constexpr auto copier_of(u32 bytes) {
  switch (bytes) {
    case 1:
      return copy_codes<1>;
    case 2:
      return copy_codes<2>;
    case 4:
      return copy_codes<4>;
    case 8:
      return copy_codes<8>;
    default:
      return copy_codes<16>;
  }
}

constexpr auto make_formats() {
  std::array<Format, std::size(code_types) * std::size(book_counts) * std::size(group_sizes)> formats;
  Format* format = formats.data();
  for (const u32 type : code_types) {
    for (const u32 books : book_counts) {
      for (const u32 group : group_sizes) {
        const u32 bytes = books * (type - 23);
        *format++ = {.name = "AQLM",
                     .ggml_type = type,
                     .block_weights = group,
                     .block_bytes = bytes,
                     .gpu = {1, {bytes}},
                     .wgsl = "formats/additive",
                     .repack = copier_of(bytes)};
      }
    }
  }
  return formats;
}
constexpr auto formats = make_formats();

template <class Code, class Number>
void decode(const Format& format, const u8* codes, u64 count, const Number* books, u32 entries, float scale,
            float* out) {
  const u32 group = format.block_weights, book_count = additive_books(format);
  const u64 book = u64(entries) * group;
  for (; count > 0; --count, codes += format.block_bytes) {
    for (u32 part = 0; part < group; part += lanes, out += lanes) {
      float sums[lanes] = {};
      for (u32 b = 0; b < book_count; ++b) {
        const u32 entry = load_le<Code>(codes + b * sizeof(Code)) & (entries - 1);
        const Number* from = books + b * book + u64(entry) * group + part;
        for (u32 i = 0; i < lanes; ++i) sums[i] += float(from[i]);
      }
      for (u32 i = 0; i < lanes; ++i) out[i] = scale * sums[i];
    }
  }
}

}  // namespace

const Format* find_additive(u32 code_type, u64 books, u64 group) {
  const auto found = std::ranges::find_if(formats, [&](const Format& format) {
    return format.ggml_type == code_type && format.block_weights == group &&
           format.block_bytes == books * (code_type - 23);
  });
  return found == formats.end() ? nullptr : &*found;
}

bool is_additive(const Format& format) {
  return std::ranges::any_of(formats, [&](const Format& other) { return &other == &format; });
}

GpuExtent additive_extent(const Format& format, u64 rows, u64 row_weights, u64 book_weights) {
  GpuExtent extent = gpu_extent(format, rows, row_weights);
  extent.plane_offset[1] = extent.bytes;
  extent.plane_offset[2] = extent.bytes + book_weights * sizeof(u16);
  extent.bytes = align_up(extent.plane_offset[2] + rows * sizeof(float), 16);
  return extent;
}

u32 additive_code_bits(const Format& format) { return format.ggml_type == code_types[0] ? 8 : 16; }
u32 additive_books(const Format& format) { return 8 * format.block_bytes / additive_code_bits(format); }

void decode_additive(const Format& format, const u8* codes, u64 count, const AdditiveTables& tables, u32 row,
                     float* out) {
  const auto decode_from = [&](const auto* books, float scale) {
    const auto decode_codes = format.ggml_type == code_types[0] ? decode<u8, std::remove_cvref_t<decltype(*books)>>
                                                                : decode<u16, std::remove_cvref_t<decltype(*books)>>;
    decode_codes(format, codes, count, books, tables.entries, scale, out);
  };
  const float scale = tables.scales[row];
  tables.steps ? decode_from(tables.steps, scale * tables.step) : decode_from(tables.books, scale);
}

float round_books(std::span<const float> books, u32 count, i16* out) {
  const std::size_t size = books.size() / count;
  float most = 0;  // that a sum can be
  bool finite = true;
  for (u32 b = 0; b < count; ++b) {
    float largest = 0;
    for (const float number : books.subspan(b * size, size)) {
      finite = finite && std::isfinite(number);
      largest = std::max(largest, std::abs(number));
    }
    most += largest;
  }
  const float step = finite && std::isfinite(most) ? most / float(32767 - count) : NAN;  // each is rounded
  const float inverse = step >= std::numeric_limits<float>::min() ? 1 / step : 0;        // else it would overflow
  for (std::size_t i = 0; i < books.size(); ++i) out[i] = inverse > 0 ? i16(std::lrint(books[i] * inverse)) : i16(0);
  return step;
}

}  // namespace pronk::formats
