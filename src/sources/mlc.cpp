#include "sources/mlc.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/quote.h"
#include "files/ggml_types.h"
#include "files/safetensors.h"
#include "sources/huggingface_config.h"
#include "sources/translate.h"

namespace pronk::sources {

namespace {

using files::JsonValue;
using files::TensorInfo;

constexpr std::string_view names[] = {"mlc-chat-config.json", "tensor-cache.json", "ndarray-cache.json"};
constexpr u32 most_shards = 10000;
constexpr std::string_view codes_end = ".q_weight", scales_end = ".q_scale";

// What the compiler stores: of float32 either that or, as it mostly does, the upper halves.
struct Stored {
  std::string_view dtype, format;
  u32 ggml_type;  // files::no_ggml_type: codes
  u32 bytes;      // of an element
};
constexpr std::string_view halved = "f32-to-bf16", raw = "raw";
constexpr Stored stored[] = {
    {"float16", halved, 1, 2},
    {"float16", raw, 1, 2},
    {"float32", halved, 30, 2},
    {"float32", raw, 0, 4},
    {"bfloat16", raw, 30, 2},
    {"uint32", halved, files::no_ggml_type, 4},
    {"uint32", raw, files::no_ggml_type, 4},
};

// Types of blocks by the type of their scales: f16, or bf16.
struct Blocks {
  u32 scale_type, type;
};
constexpr Blocks blocks[] = {{1, 2}, {30, files::own_type}};
constexpr u64 group = 32, codes_in_word = 8;

Result<const Stored*> stored_as(JsonValue record) {
  PRONK_TRY(const std::string_view dtype, record.string_at("dtype"));
  PRONK_TRY(const std::string_view format, record.string_at("format"));
  const auto found =
      std::ranges::find_if(stored, [&](const Stored& each) { return each.dtype == dtype && each.format == format; });
  if (found != std::end(stored)) return found;
  return fail(ErrorCode::unsupported,
              "a tensor of " + quoted(dtype) + " in the format " + quoted(format) + ": not supported");
}

// Fastest dimension first; the product in elements.
Result<u64> read_shape(JsonValue shape, TensorInfo& tensor) {
  constexpr u64 most = u64{1} << 48;
  const u64 dims = shape.count();
  if (dims == 0 || dims > tensor.shape.size()) return shape.error("has " + std::to_string(dims) + " dimensions");
  tensor.dims = u32(dims);
  u64 elements = 1, at = dims;
  for (const JsonValue each : shape) {
    PRONK_TRY(const u64 size, each.integer());
    if (size == 0 || size > most || elements > most / size) return shape.error("is out of range");
    elements *= size;
    tensor.shape[--at] = size;
  }
  return elements;
}

// Lower-case hex; empty when the shard has none.
Result<std::string> read_md5(JsonValue shard) {
  PRONK_TRY(const std::string_view md5, shard.string_or("md5sum", ""));
  const bool good = md5.size() == 32 && md5.find_first_not_of("0123456789abcdef") == md5.npos;
  if (md5.empty() || good) return std::string(md5);
  return fail(ErrorCode::bad_model, "'md5sum' is " + quoted(md5) + ", not 32 hex digits");
}

std::pair<u32, u64> place_of(const TensorInfo& tensor) {
  return tensor.scales ? std::pair(tensor.scales->file, tensor.scales->offset) : std::pair(tensor.file, tensor.offset);
}

// Of one shard. Each byte is of one tensor, so that what a file makes is no larger than it.
Status check_overlaps(std::span<TensorInfo> tensors) {
  std::ranges::sort(tensors, {}, &TensorInfo::offset);
  u64 end = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset < end)
      return fail(ErrorCode::bad_model, "tensor " + quoted(tensor.name) + " lies in another one of its shard");
    end = tensor.offset + tensor.bytes;
  }
  return {};
}

Result<TensorInfo> read_tensor(JsonValue record, u32 file, u64 shard_bytes) {
  PRONK_OK(record.object());
  PRONK_TRY(const std::string_view name, record.string_at("name"));
  PRONK_TRY(const Stored* const as, stored_as(record));
  PRONK_TRY(const JsonValue shape, record.array_at("shape"));
  PRONK_TRY(const u64 bytes, record.integer_at("nbytes"));
  PRONK_TRY(const u64 offset, record.integer_at("byteOffset"));
  TensorInfo tensor{.name = std::string(name), .type = as->ggml_type, .offset = offset, .bytes = bytes, .file = file};
  PRONK_TRY(const u64 elements, read_shape(shape, tensor));
  const auto bad = [&](std::string text) { return fail(ErrorCode::bad_model, "tensor " + quoted(name) + text); };
  if (elements * as->bytes != bytes) return bad(" does not have the bytes of its shape");
  if (bytes > shard_bytes || offset > shard_bytes - bytes) return bad(" ends beyond its shard");
  return tensor;
}

}  // namespace

std::span<const std::string_view> Mlc::file_names() { return names; }

Status Mlc::add_file(std::string_view name, std::string contents) {
  if (std::string* text = tokenizer_file(texts_, name)) {
    *text = std::move(contents);
    return {};
  }
  const bool cache = name == names[1] || (name == names[2] && shard_files_.empty());
  if (!cache && name != names[0]) return {};
  Status status;
  if (name == names[0]) {
    status = read_config(std::move(contents));
  } else {
    const auto json = files::Json::parse(std::move(contents));
    status = json ? read_cache(json->root()) : std::unexpected(json.error());
  }
  return status ? status : fail(status.error().code, std::string(name) + ": " + status.error().message);
}

// What ends an answer stands there too, in the words of generation_config.json.
Status Mlc::read_config(std::string contents) {
  texts_.generation_config = contents;
  PRONK_TRY(config_, files::Json::parse(std::move(contents)));
  const auto config = Config::read_mlc(config_->root());
  return config ? Status() : std::unexpected(config.error());
}

Status Mlc::read_cache(JsonValue root) {
  PRONK_OK(root.object());
  PRONK_TRY(const JsonValue shards, root.array_at("records"));
  if (shards.count() == 0) return shards.error("names no shard");
  if (shards.count() > most_shards) return shards.error("names " + std::to_string(shards.count()) + " shards");
  for (const JsonValue shard : shards) PRONK_OK(read_shard(shard));
  std::vector<std::string_view> files(shard_files_.begin(), shard_files_.end());
  std::ranges::sort(files);
  if (std::ranges::adjacent_find(files) != files.end()) return shards.error("names a shard twice");
  return join_pieces();
}

Status Mlc::read_shard(JsonValue shard) {
  PRONK_OK(shard.object());
  PRONK_TRY(const std::string_view path, shard.string_at("dataPath"));
  if (!plain_file_name(path))
    return fail(ErrorCode::bad_model, "'dataPath' is " + quoted(path) + ", not the plain name of a file");
  PRONK_TRY(const std::string_view format, shard.string_at("format"));
  if (format != "raw-shard") return fail(ErrorCode::unsupported, "a shard in the format " + quoted(format));
  PRONK_TRY(const u64 bytes, shard.integer_at("nbytes"));
  PRONK_TRY(const JsonValue records, shard.array_at("records"));
  const u32 file = u32(shard_files_.size());
  shard_files_.emplace_back(path);
  shard_bytes_.push_back(bytes);
  PRONK_TRY(std::string md5, read_md5(shard));
  shard_md5s_.push_back(std::move(md5));
  const std::size_t first = tensors_.size();
  for (const JsonValue record : records) {
    PRONK_TRY(TensorInfo tensor, read_tensor(record, file, bytes));
    tensors_.push_back(std::move(tensor));
  }
  return check_overlaps(std::span(tensors_).subspan(first));
}

// Codes and scales become one tensor, named as one that is not quantized. The compiler gives codes of many bytes a
// shard of their own, so scales tell the order of its writing: in that order all shards are read from start to end.
Status Mlc::join_pieces() {
  std::ranges::sort(tensors_, {}, &TensorInfo::name);
  const auto same = std::ranges::adjacent_find(tensors_, {}, &TensorInfo::name);
  if (same != tensors_.end()) return fail(ErrorCode::bad_model, "tensor " + quoted(same->name) + " is there twice");
  std::vector<TensorInfo> joined;
  for (const TensorInfo& from : tensors_) {
    TensorInfo tensor = from;
    if (tensor.name.ends_with(scales_end)) continue;
    if (!tensor.name.ends_with(codes_end)) {
      joined.push_back(std::move(tensor));
      continue;
    }
    const std::string stem = tensor.name.substr(0, tensor.name.size() - codes_end.size());
    const auto scales = std::ranges::lower_bound(tensors_, stem + std::string(scales_end), {}, &TensorInfo::name);
    const auto type =
        scales == tensors_.end() ? std::end(blocks) : std::ranges::find(blocks, scales->type, &Blocks::scale_type);
    const u64 words = group / codes_in_word;
    const bool good = scales != tensors_.end() && scales->name == stem + std::string(scales_end) &&
                      tensor.type == files::no_ggml_type && type != std::end(blocks) && tensor.dims == 2 &&
                      scales->dims == 2 && tensor.shape[0] == words * scales->shape[0] &&
                      tensor.shape[1] == scales->shape[1];
    if (!good) return fail(ErrorCode::bad_model, "tensor " + quoted(tensor.name) + " has no scales that fit it");
    tensor.shape[0] *= codes_in_word;
    tensor.type = type->type;
    tensor.scales = {scales->file, scales->offset, scales->bytes};
    tensor.name = stem + ".weight";
    joined.push_back(std::move(tensor));
  }
  std::ranges::sort(joined, {}, place_of);
  tensors_ = std::move(joined);
  return {};
}

Result<u64> Mlc::add_header(std::span<const u8> prefix, std::optional<u64> file_size) {
  CHECK(next_ < shard_files_.size());
  const u64 bytes = shard_bytes_[next_];
  const u64 there = file_size.value_or(bytes);
  if (there < bytes || prefix.size() > there) {
    return fail(ErrorCode::bad_model,
                "has " + std::to_string(there) + " bytes, fewer than the " + std::to_string(bytes) + " of its record");
  }
  ++next_;
  return u64{0};
}

Result<files::Gguf> Mlc::header() const {
  if (!config_) return fail(ErrorCode::bad_model, std::string(names[0]) + " is missing");
  if (shard_files_.empty()) return fail(ErrorCode::bad_model, std::string(names[1]) + " is missing");
  CHECK(next_ == shard_files_.size());
  PRONK_TRY(const Config config, Config::read_mlc(config_->root()));
  return translate(config, names[0], tensors_);
}

}  // namespace pronk::sources
