#include "files/gguf.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>

#include "base/quote.h"
#include "files/ggml_types.h"
#include "files/header_reader.h"

namespace pronk::files {

namespace {

constexpr u32 magic = 0x46554747;                    // "GGUF"
constexpr u64 min_tensor_bytes = 8 + 4 + 8 + 4 + 8;  // the name's length, dims, one dimension, type, offset
constexpr u64 first_request = u64{64} << 10;

struct FixedHeader {
  u32 version = 0;
  u64 tensor_count = 0;
  u64 metadata_count = 0;
};

Result<FixedHeader> read_fixed(HeaderReader& reader) {
  FixedHeader header;
  const u32 found = reader.read<u32>();
  PRONK_OK(reader.check("magic"));
  if (found == std::byteswap(magic))
    return fail(ErrorCode::unsupported, "magic: a big-endian GGUF file; pronk reads little-endian ones");
  if (found != magic) return fail("magic: not a GGUF file");
  header.version = reader.read<u32>();
  PRONK_OK(reader.check("version"));
  if (header.version != 0 && (header.version & 0xffff) == 0) {
    return fail(ErrorCode::unsupported, "version: a big-endian GGUF file; pronk reads little-endian ones");
  }
  if (header.version != 2 && header.version != 3) {
    return fail(ErrorCode::unsupported,
                "version: GGUF version " + std::to_string(header.version) + " is not supported (2 and 3 are)");
  }
  header.tensor_count = reader.read<u64>();
  header.metadata_count = reader.read<u64>();
  PRONK_OK(reader.check("tensor_count and metadata_kv_count"));
  return header;
}

bool multiply(u64& value, u64 factor, u64 limit) {
  if (factor != 0 && value > limit / factor) return false;
  value *= factor;
  return true;
}

Status size_tensor(TensorInfo& tensor, const std::string& what) {
  const GgmlType* type = find_ggml_type(tensor.type);
  if (type == nullptr) return fail(ErrorCode::unsupported, what + ": unknown type " + std::to_string(tensor.type));
  const std::string named = std::to_string(tensor.type) + " (" + std::string(type->name) + ")";
  if (type->block_weights == 0)
    return fail(ErrorCode::unsupported, what + ": type " + named + " was removed from GGUF");
  if (tensor.shape[0] % type->block_weights != 0) {
    return fail(what + ": a row of " + std::to_string(tensor.shape[0]) + " is not a multiple of the " +
                std::to_string(type->block_weights) + " weights in a block of type " + named);
  }
  u64 weights = 1;
  tensor.bytes = tensor.shape[0] / type->block_weights;
  const u64 limit = u64(std::numeric_limits<i64>::max());
  bool fits = multiply(tensor.bytes, type->block_bytes, limit);
  for (u32 d = 0; d < 4; ++d) {
    fits = fits && multiply(weights, tensor.shape[d], limit);
    if (d > 0) fits = fits && multiply(tensor.bytes, tensor.shape[d], limit);
  }
  return fits ? Status() : Status(fail(what + ": shape overflows 64 bits"));
}

Result<TensorInfo> read_tensor(HeaderReader& reader, u64 index) {
  TensorInfo tensor;
  const std::string nth = "tensor " + std::to_string(index);
  const u64 name_bytes = reader.read<u64>();
  PRONK_OK(reader.check(nth + ": name length"));
  if (name_bytes == 0) return fail(nth + ": the name is empty");
  if (name_bytes > max_tensor_name) {
    return fail(nth + ": a name of " + std::to_string(name_bytes) + " bytes is longer than " +
                std::to_string(max_tensor_name));
  }
  tensor.name = reader.read_string(name_bytes);
  PRONK_OK(reader.check(nth + ": name"));
  const std::string what = "tensor " + quoted(tensor.name);
  tensor.dims = reader.read<u32>();
  PRONK_OK(reader.check(what + ": dimension count"));
  if (tensor.dims < 1 || tensor.dims > 4) {
    return fail(what + ": " + std::to_string(tensor.dims) + " dimensions; 1 to 4 are allowed");
  }
  for (u32 d = 0; d < tensor.dims; ++d) tensor.shape[d] = reader.read<u64>();
  tensor.type = reader.read<u32>();
  tensor.offset = reader.read<u64>();
  PRONK_OK(reader.check(what + ": entry"));
  for (u32 d = 0; d < tensor.dims; ++d) {
    if (tensor.shape[d] == 0) return fail(what + ": dimension " + std::to_string(d) + " is 0");
  }
  PRONK_OK(size_tensor(tensor, what));
  return tensor;
}

Result<u32> read_alignment(const Metadata& metadata) {
  PRONK_TRY(const u64 alignment, metadata.u64_or("general.alignment", default_alignment));
  if (alignment > max_alignment || !std::has_single_bit(alignment)) {
    return fail("metadata key 'general.alignment' is " + std::to_string(alignment) + ", not a power of two up to " +
                std::to_string(max_alignment));
  }
  return u32(alignment);
}

// Turns offsets within the data into offsets within the file.
Status place_tensors(Gguf& gguf, std::optional<u64> file_size) {
  for (TensorInfo& tensor : gguf.tensors) {
    const std::string what = "tensor " + quoted(tensor.name);
    if (tensor.offset % gguf.alignment != 0) {
      return fail(what + ": offset " + std::to_string(tensor.offset) + " is not a multiple of the alignment " +
                  std::to_string(gguf.alignment));
    }
    const u64 room = u64(std::numeric_limits<i64>::max()) - gguf.data_offset;
    if (tensor.offset > room || tensor.bytes > room - tensor.offset) {
      return fail(what + ": offset " + std::to_string(tensor.offset) + " overflows 64 bits");
    }
    tensor.offset += gguf.data_offset;
    gguf.end = std::max(gguf.end, tensor.offset + tensor.bytes);
    if (file_size && tensor.offset + tensor.bytes > *file_size) {
      return fail(what + ": bytes " + std::to_string(tensor.offset) + " to " +
                  std::to_string(tensor.offset + tensor.bytes) + " run past the end of the file (" +
                  std::to_string(*file_size) + " bytes)");
    }
  }
  return {};
}

Status check_overlaps(const std::vector<TensorInfo>& tensors) {
  std::vector<u32> order(tensors.size());
  for (u32 i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return tensors[a].offset < tensors[b].offset; });
  for (u32 i = 1; i < order.size(); ++i) {
    const TensorInfo& before = tensors[order[i - 1]];
    const TensorInfo& after = tensors[order[i]];
    if (before.offset + before.bytes > after.offset) {
      return fail("tensor " + quoted(after.name) + ": its data overlaps that of tensor " + quoted(before.name));
    }
  }
  return {};
}

Result<Gguf> read_header(HeaderReader& reader, std::optional<u64> file_size, Keep keep) {
  PRONK_TRY(const FixedHeader header, read_fixed(reader));
  Gguf gguf;
  gguf.version = header.version;
  const std::string tensor_count = "tensor_count " + std::to_string(header.tensor_count);
  PRONK_OK(reader.expect(header.tensor_count, min_tensor_bytes, tensor_count));
  PRONK_TRY(gguf.metadata, read_metadata(reader, header.metadata_count, keep));
  PRONK_TRY(gguf.alignment, read_alignment(gguf.metadata));
  PRONK_OK(reader.expect(header.tensor_count, min_tensor_bytes, tensor_count));
  gguf.tensors.reserve(header.tensor_count);
  for (u64 i = 0; i < header.tensor_count; ++i) {
    PRONK_TRY(TensorInfo tensor, read_tensor(reader, i));
    gguf.tensors.push_back(std::move(tensor));
  }
  gguf.end = reader.position();
  gguf.data_offset = align_up(reader.position(), gguf.alignment);
  PRONK_OK(index_tensors(gguf));
  PRONK_OK(place_tensors(gguf, file_size));
  PRONK_OK(check_overlaps(gguf.tensors));
  return gguf;
}

Status check_split_key(const Metadata& metadata, std::string_view key, u64 expected, u64 index) {
  PRONK_TRY(const u64 value, metadata.u64_at(key));
  if (value == expected) return {};
  return fail("split " + std::to_string(index + 1) + ": metadata key " + quoted(key) + " is " + std::to_string(value) +
              ", not " + std::to_string(expected));
}

}  // namespace

const TensorInfo* Gguf::find(std::string_view name) const {
  auto at = std::lower_bound(by_name.begin(), by_name.end(), name,
                             [this](u32 index, std::string_view wanted) { return tensors[index].name < wanted; });
  return at != by_name.end() && tensors[*at].name == name ? &tensors[*at] : nullptr;
}

Status index_tensors(Gguf& gguf) {
  gguf.by_name.resize(gguf.tensors.size());
  for (u32 i = 0; i < gguf.by_name.size(); ++i) gguf.by_name[i] = i;
  auto less = [&](u32 a, u32 b) { return gguf.tensors[a].name < gguf.tensors[b].name; };
  std::sort(gguf.by_name.begin(), gguf.by_name.end(), less);
  for (u32 i = 1; i < gguf.by_name.size(); ++i) {
    if (!less(gguf.by_name[i - 1], gguf.by_name[i])) {
      return fail("tensor " + quoted(gguf.tensors[gguf.by_name[i]].name) + " is there twice");
    }
  }
  return {};
}

Result<GgufPrefix> parse_gguf(std::span<const u8> prefix, std::optional<u64> file_size, Keep keep) {
  HeaderReader reader(prefix, file_size, max_header_bytes);
  Result<Gguf> gguf = read_header(reader, file_size, keep);
  GgufPrefix out;
  if (gguf) {
    out.gguf = std::move(*gguf);
  } else if (gguf.error().message.empty()) {
    const u64 quarter_more = u64(prefix.size()) + prefix.size() / 4 + 1;
    const u64 more = std::min(std::max(quarter_more, first_request), file_size.value_or(max_header_bytes));
    out.bytes_needed = std::max(reader.needed(), more);
  } else {
    return std::unexpected(std::move(gguf.error()));
  }
  return out;
}

std::optional<SplitName> parse_split_name(std::string_view name) {
  constexpr std::string_view pattern = "-#####-of-#####.gguf";  // # is a digit
  if (name.size() < pattern.size()) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - pattern.size());
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool digit = tail[i] >= '0' && tail[i] <= '9';
    if (pattern[i] == '#' ? !digit : tail[i] != pattern[i]) return std::nullopt;
  }
  SplitName out{.stem = std::string(name.substr(0, name.size() - pattern.size()))};
  std::from_chars(tail.data() + 1, tail.data() + 6, out.number);
  std::from_chars(tail.data() + 10, tail.data() + 15, out.count);
  if (out.number < 1 || out.number > out.count) return std::nullopt;
  return out;
}

std::string split_name(const SplitName& name) {
  auto five = [](u32 value) {
    const std::string digits = std::to_string(value);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return name.stem + "-" + five(name.number) + "-of-" + five(name.count) + ".gguf";
}

std::vector<std::string> all_split_names(std::string_view name) {
  std::optional<SplitName> split = parse_split_name(name);
  if (!split) return {std::string(name)};
  std::vector<std::string> names;
  for (split->number = 1; split->number <= split->count; ++split->number) names.push_back(split_name(*split));
  return names;
}

Result<Gguf> join_splits(std::vector<Gguf> splits) {
  if (splits.empty()) return fail("splits: no file was given");
  Gguf joined = std::move(splits[0]);
  if (splits.size() == 1 && !joined.metadata.has("split.count")) return joined;
  const u64 count = splits.size();
  PRONK_OK(check_split_key(joined.metadata, "split.count", count, 0));
  PRONK_OK(check_split_key(joined.metadata, "split.no", 0, 0));
  for (u32 i = 1; i < count; ++i) {
    PRONK_OK(check_split_key(splits[i].metadata, "split.count", count, i));
    PRONK_OK(check_split_key(splits[i].metadata, "split.no", i, i));
    for (TensorInfo& tensor : splits[i].tensors) {
      tensor.file = i;
      joined.tensors.push_back(std::move(tensor));
    }
  }
  PRONK_TRY(const u64 tensors, joined.metadata.u64_or("split.tensors.count", joined.tensors.size()));
  if (tensors != joined.tensors.size()) {
    return fail("metadata key 'split.tensors.count' is " + std::to_string(tensors) + ", but the splits hold " +
                std::to_string(joined.tensors.size()) + " tensors");
  }
  PRONK_OK(index_tensors(joined));
  return joined;
}

}  // namespace pronk::files
