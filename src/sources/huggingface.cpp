#include "sources/huggingface.h"

#include <algorithm>

#include "base/check.h"
#include "base/quote.h"
#include "sources/huggingface_config.h"

namespace pronk::sources {

namespace {

using files::Json;
using files::JsonValue;
using files::TensorInfo;

constexpr std::string_view config_name = "config.json", index_name = "model.safetensors.index.json";
constexpr std::string_view names[] = {config_name,
                                      index_name,
                                      "tokenizer.json",
                                      "tokenizer_config.json",
                                      "special_tokens_map.json",
                                      "generation_config.json",
                                      "chat_template.jinja"};
constexpr std::span texts = std::span(names).subspan(2);
constexpr std::string text::TokenizerFiles::* text_members[] = {
    &text::TokenizerFiles::tokenizer, &text::TokenizerFiles::config, &text::TokenizerFiles::special_tokens_map,
    &text::TokenizerFiles::generation_config, &text::TokenizerFiles::chat_template};
static_assert(std::size(text_members) == texts.size());
constexpr u32 most_files = 10000;

// Parts of a tensor's name, there and in GGUF: of a layer, and of the whole model.
struct Rename {
  std::string_view from, to;
};
constexpr Rename of_layer[] = {
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
};
constexpr Rename of_model[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
};

template <std::size_t count>
std::string_view renamed(const Rename (&table)[count], std::string_view stem) {
  const auto found = std::ranges::find(table, stem, &Rename::from);
  return found == std::end(table) ? std::string_view{} : found->to;
}

// The name in GGUF; empty for a tensor that the architectures do not have.
std::string gguf_name(std::string name, const Family& family) {
  constexpr std::string_view part = "language_model.", layers = "model.layers.";
  if (const auto at = name.find(part); at != name.npos) name.erase(at, part.size());  // beside a vision model
  const auto dot = name.rfind('.');
  if (dot == name.npos) return {};
  const std::string_view stem = std::string_view(name).substr(0, dot), kind = std::string_view(name).substr(dot);
  if (!stem.starts_with(layers)) {
    const std::string_view to = renamed(of_model, stem);
    return to.empty() ? std::string() : std::string(to) + std::string(kind);
  }
  const std::string_view rest = stem.substr(layers.size());
  const auto end = std::min(rest.find_first_not_of("0123456789"), rest.size());
  if (end == 0 || end == rest.size() || rest[end] != '.') return {};
  const std::string_view from = rest.substr(end + 1);
  std::string_view to = renamed(of_layer, from);
  if (family.norm_after_attention && from == "post_attention_layernorm") to = "post_attention_norm";
  return to.empty() ? std::string()
                    : "blk." + std::string(rest.substr(0, end + 1)) + std::string(to) + std::string(kind);
}

// A file in the same folder and nothing else, whatever makes a path or a URL of it.
bool plain_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." && std::ranges::none_of(name, [](char c) {
    return u8(c) < 0x20 || std::string_view("/\\%:?#").find(c) != std::string_view::npos;
  });
}

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

// Code books lose the dimension of their groups' one row. What config.json says of them has to be so.
Status shape_books(TensorInfo& tensor, const Config& config, const std::string& name) {
  if (!tensor.name.ends_with(".codebooks")) return {};
  const auto [group, rows, entries, count] = tensor.shape;
  if (config.books() != std::array{group, entries, count} || rows != 1) {
    return fail(ErrorCode::bad_model, "tensor " + quoted(name) + " is not as 'quantization_config' says");
  }
  tensor.shape = {group, entries, count, 1};
  tensor.dims = 3;
  return {};
}

// Names become GGUF's; what has none there is left out.
Result<std::vector<TensorInfo>> rename(const std::vector<TensorInfo>& tensors, const Config& config) {
  std::vector<TensorInfo> named;
  bool head = false;
  for (const TensorInfo& from : tensors) {
    TensorInfo tensor = from;
    tensor.name = gguf_name(from.name, config.family());
    const bool is_head = tensor.name.starts_with("output.");
    if (tensor.name.empty() || (is_head && config.tied())) continue;
    if (tensor.type == files::no_ggml_type) {
      return fail(ErrorCode::unsupported,
                  "tensor " + quoted(from.name) + " has a type or a shape that pronk does not run");
    }
    PRONK_OK(shape_books(tensor, config, from.name));
    if (config.family().norms_from_one && tensor.name.ends_with("norm.weight")) tensor.added = 1;
    if (tensor.name == "token_embd.weight" && tensor.rows() != config.vocab()) {
      return fail(ErrorCode::bad_model, "tensor " + quoted(from.name) + " has " + std::to_string(tensor.rows()) +
                                            " rows, but 'vocab_size' is " + std::to_string(config.vocab()));
    }
    head = head || is_head;
    named.push_back(std::move(tensor));
  }
  if (!head && !config.tied()) return fail(ErrorCode::bad_model, "tensor 'lm_head.weight' is missing");
  return named;
}

}  // namespace

std::span<const std::string_view> HuggingFace::file_names() { return names; }
std::span<const std::string_view> HuggingFace::tokenizer_file_names() { return texts; }

Status HuggingFace::add_file(std::string_view name, std::string contents) {
  if (const auto text = std::ranges::find(texts, name); text != texts.end()) {
    texts_.*text_members[text - texts.begin()] = std::move(contents);
    return {};
  }
  auto json = Json::parse(std::move(contents));
  Status status = json ? Status() : std::unexpected(json.error());
  if (json && name == config_name) {
    config_ = std::move(*json);
    if (auto config = Config::read(config_->root()); !config) status = std::unexpected(config.error());
  } else if (json) {
    CHECK(name == index_name);
    status = read_index(*json);
  }
  return status ? status : fail(status.error().code, std::string(name) + ": " + status.error().message);
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
  for (auto& [tensor, file] : pairs) {
    map_.emplace_back(std::move(tensor), u32(std::ranges::lower_bound(files, file) - files.begin()));
  }
  std::ranges::sort(map_);
  weight_files_ = std::move(files);
  return {};
}

std::optional<u32> HuggingFace::file_of(std::string_view tensor) const {
  const auto at =
      std::ranges::lower_bound(map_, tensor, {}, [](const auto& entry) { return std::string_view(entry.first); });
  return at != map_.end() && at->first == tensor ? std::optional(at->second) : std::nullopt;
}

Status HuggingFace::add_weights(files::Safetensors header) {
  CHECK(next_ < weight_files_.size());
  u64 expected = u64(std::ranges::count(map_, next_, [](const auto& entry) { return entry.second; }));
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

Result<text::Tokenizer> HuggingFace::tokenizer() const {
  return texts_.tokenizer.empty() ? text::Tokenizer::none() : text::Tokenizer::from_json(texts_);
}

Result<files::Gguf> HuggingFace::header() const {
  if (!config_) return fail(ErrorCode::bad_model, std::string(config_name) + " is missing");
  CHECK(next_ == weight_files_.size());
  PRONK_TRY(const Config config, Config::read(config_->root()));
  files::GgufWriter writer;
  if (Status status = config.write(writer); !status) {
    return fail(status.error().code, std::string(config_name) + ": " + status.error().message);
  }
  const std::vector<u8> bytes = writer.header();
  PRONK_TRY(files::GgufPrefix parsed, files::parse_gguf(bytes, bytes.size()));
  CHECK(parsed.gguf);
  PRONK_TRY(parsed.gguf->tensors, rename(tensors_, config));
  PRONK_OK(files::index_tensors(*parsed.gguf));
  return std::move(*parsed.gguf);
}

}  // namespace pronk::sources
