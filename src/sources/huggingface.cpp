#include "sources/huggingface.h"

#include <algorithm>

#include "base/check.h"
#include "base/quote.h"
#include "sources/translate.h"

namespace pronk::sources {

namespace {

using files::Json;
using files::JsonValue;
using files::TensorInfo;

constexpr std::string_view config_name = "config.json", index_name = "model.safetensors.index.json";
constexpr std::string_view names[] = {config_name, index_name, modules_name, pooling_name};
constexpr u32 most_files = 10000;

// Without a name of GGUF's yet.
TensorInfo tensor_info(const files::SafeTensor& from, u32 file) {
  TensorInfo tensor{
      .name = from.name, .type = from.dtype->ggml_type, .offset = from.offset, .bytes = from.bytes, .file = file};
  if (from.shape.size() > tensor.shape.size() || from.bytes == 0) tensor.type = files::no_ggml_type;
  tensor.dims = u32(std::clamp<std::size_t>(from.shape.size(), 1, tensor.shape.size()));
  for (u32 d = 0; d < std::min<std::size_t>(tensor.dims, from.shape.size()); ++d) {
    tensor.shape[d] = from.shape[from.shape.size() - 1 - d];
  }
  return tensor;
}

// Of which Dense module that is the config.json.
std::optional<u32> module_of(std::string_view name) {
  const auto found = std::ranges::find(dense_configs, name);
  return found == std::end(dense_configs) ? std::nullopt : std::optional(u32(found - dense_configs));
}

// Python writes numbers that JSON has not; they become strings.
std::string as_json(std::string_view text) {
  std::string out;
  bool in_string = false;
  while (!text.empty()) {
    std::size_t length = in_string && text[0] == '\\' && text.size() > 1 ? 2 : 1;
    bool number = false;
    for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (in_string || number || !text.starts_with(word)) continue;
      number = true;
      length = word.size();
    }
    in_string = in_string != (text[0] == '"');
    if (number) out += '"';
    out += text.substr(0, length);
    if (number) out += '"';
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

std::span<const std::string_view> HuggingFace::file_names() { return names; }

bool HuggingFace::is_assembled(const std::string& config) {
  const auto json = Json::parse(as_json(config));
  if (!json) return false;
  const auto read = Config::read(json->root());
  return read && !read->family().made.empty();
}

Status HuggingFace::add_file(std::string_view name, std::string contents) {
  if (std::string* text = tokenizer_file(texts_, name)) {
    *text = std::move(contents);
    return {};
  }
  if (std::ranges::find(names, name) == std::end(names) && !module_of(name)) return {};
  auto json = Json::parse(name == config_name ? as_json(contents) : std::move(contents));
  const Status status = json ? add_json(name, std::move(*json)) : std::unexpected(json.error());
  return status ? status : fail(status.error().code, std::string(name) + ": " + status.error().message);
}

Status HuggingFace::add_json(std::string_view name, Json json) {
  if (name == config_name) {
    config_ = std::move(json);
    PRONK_TRY(const Config config, Config::read(config_->root()));
    family_ = &config.family();
  } else if (name == index_name) {
    PRONK_OK(read_index(json));
  } else if (name == modules_name) {
    PRONK_TRY(const u32 dense, read_modules(json.root()));
    PRONK_OK(add_dense_files(dense));
  } else if (const auto module = module_of(name)) {
    if (*module >= dense_.size()) return {};
    PRONK_TRY(dense_[*module], read_dense(json.root()));
  } else {
    PRONK_TRY(pooling_, read_pooling(json.root()));
  }
  return {};
}

Status HuggingFace::add_dense_files(u32 count) {
  if (count > 0 && (!family_ || find_pair(family_->names, dense_tensors[0]).empty()))
    return fail(ErrorCode::unsupported, "a module of type 'Dense': not supported");
  dense_.resize(count);
  weight_files_.insert(weight_files_.end(), dense_weights, dense_weights + count);
  return {};
}

Status HuggingFace::add_dense_weights(u32 module, const files::Safetensors& header) {
  const auto& [inputs, outputs] = dense_[module];
  if (inputs == 0) return fail(ErrorCode::bad_model, std::string(dense_configs[module]) + " is missing");
  for (const files::SafeTensor& tensor : header.tensors) {
    if (tensor.name != "linear.weight" || tensor.shape != std::vector<u64>{outputs, inputs})
      return fail(ErrorCode::bad_model, "tensor " + quoted(tensor.name) + " is not as its config.json says");
    tensors_.push_back(tensor_info(tensor, next_));
    tensors_.back().name = dense_tensors[module];
  }
  ++next_;
  return {};
}

Status HuggingFace::read_index(const Json& index) {
  PRONK_TRY(const JsonValue map, index.root().object_at("weight_map"));
  std::vector<std::string> files;
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const JsonValue entry : map) {
    PRONK_TRY(const std::string_view file, entry.string());
    if (!plain_file_name(file)) return entry.error("is " + quoted(file) + ", not the plain name of a file");
    pairs.emplace_back(entry.key(), file);
    files.emplace_back(file);
  }
  std::ranges::sort(files);
  files.erase(std::ranges::unique(files).begin(), files.end());
  if (files.empty()) return map.error("names no file");
  if (files.size() > most_files) return map.error("names " + std::to_string(files.size()) + " files");
  expected_.assign(files.size(), 0);
  for (auto& [tensor, file] : pairs) {
    map_.emplace_back(std::move(tensor), u32(std::ranges::lower_bound(files, file) - files.begin()));
    ++expected_[map_.back().second];
  }
  std::ranges::sort(map_);
  weight_files_.erase(weight_files_.begin(), weight_files_.end() - std::ptrdiff_t(dense_.size()));
  weight_files_.insert(weight_files_.begin(), files.begin(), files.end());
  return {};
}

std::optional<u32> HuggingFace::file_of(std::string_view tensor) const {
  const auto at =
      std::ranges::lower_bound(map_, tensor, {}, [](const auto& entry) { return std::string_view(entry.first); });
  return at != map_.end() && at->first == tensor ? std::optional(at->second) : std::nullopt;
}

Status HuggingFace::add_weights(files::Safetensors header) {
  CHECK(next_ < weight_files_.size());
  const u32 own = u32(weight_files_.size() - dense_.size());
  if (next_ >= own) return add_dense_weights(next_ - own, header);
  u64 expected = expected_.empty() ? 0 : expected_[next_];
  for (const files::SafeTensor& tensor : header.tensors) {
    const std::optional<u32> file = file_of(tensor.name);
    if (file && *file != next_) continue;  // the index takes it from another
    tensors_.push_back(tensor_info(tensor, next_));
    if (file) --expected;
  }
  if (expected > 0) {
    return fail(ErrorCode::bad_model, "lacks " + std::to_string(expected) + " of the tensors that " +
                                          std::string(index_name) + " says it has");
  }
  ++next_;
  return {};
}

Result<u64> HuggingFace::add_header(std::span<const u8> prefix, std::optional<u64> file_size) {
  PRONK_TRY(files::SafetensorsPrefix parsed, files::parse_safetensors(prefix, file_size));
  if (!parsed.file) return parsed.bytes_needed;
  PRONK_OK(add_weights(std::move(*parsed.file)));
  return u64{0};
}

Result<files::Gguf> HuggingFace::header() const {
  if (!config_) return fail(ErrorCode::bad_model, std::string(config_name) + " is missing");
  CHECK(next_ == weight_files_.size());
  PRONK_TRY(Config config, Config::read(config_->root()));
  if (pooling_) config.set_pooling(*pooling_);
  config.set_dense(dense_);
  return translate(config, config_name, tensors_);
}

}  // namespace pronk::sources
