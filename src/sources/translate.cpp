#include "sources/translate.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/check.h"
#include "base/quote.h"
#include "files/safetensors.h"
#include "sources/assemble.h"
#include "sources/families.h"

namespace pronk::sources {

namespace {

using files::TensorInfo;

// Parts of a tensor's name, of a layer or of the whole model.
constexpr Pairs common_names = R"(
  self_attn.q_proj attn_q  self_attn.k_proj attn_k  self_attn.v_proj attn_v  self_attn.o_proj attn_output
  self_attn.qkv_proj attn_qkv  self_attn.c_attn attn_qkv
  self_attn.q_norm attn_q_norm  self_attn.k_norm attn_k_norm
  mlp.gate_proj ffn_gate  mlp.up_proj ffn_up  mlp.gate_up_proj ffn_up  mlp.down_proj ffn_down
  input_layernorm attn_norm  post_attention_layernorm ffn_norm
  pre_feedforward_layernorm ffn_norm  post_feedforward_layernorm post_ffw_norm
  embed_tokens token_embd  norm output_norm  lm_head output)";

// Where they begin: what stands before all of them, and before the number of a layer.
constexpr std::string_view beginnings[] = {"model.",    "text_model.", "transformer.", "gpt_neox.",
                                           "backbone.", "bert.",       "roberta."};
constexpr std::string_view of_layers[] = {"layers.", "h.", "encoder.layer.", "encoder.layers."};

std::string_view renamed(const Family& family, std::string_view part) {
  const std::string_view own = find_pair(family.names, part), name = own.empty() ? find_pair(common_names, part) : own;
  return name == "-" ? std::string_view() : name;
}

// Takes the number out of "…experts.7.…", and of the names of other lists.
std::optional<u32> take_number(std::string& name) {
  for (const std::string_view word : {"experts.", "norms.", "projections."}) {
    const auto at = name.find(word);
    if (at == name.npos) continue;
    const auto first = at + word.size(), end = name.find_first_not_of("0123456789", first);
    if (end == name.npos || end == first || end > first + 6 || name[end] != '.') continue;
    u32 number = 0;
    for (auto i = first; i < end; ++i) number = number * 10 + u32(name[i] - '0');
    name.erase(first, end + 1 - first);
    return number;
  }
  return {};
}

// The name in GGUF; empty for a tensor that the architectures do not have.
std::string gguf_name(std::string name, const Family& family) {
  constexpr std::string_view text = "language_model.";
  if (const auto at = name.find(text); at != name.npos) name.erase(at, text.size());  // beside a vision model
  if (name.ends_with("_proj")) name += ".weight";                                     // the matrices of all experts
  std::string_view rest = name;
  for (const std::string_view beginning : beginnings) {
    if (rest.starts_with(beginning)) rest.remove_prefix(beginning.size());
  }
  std::string prefix;
  for (const std::string_view layers : of_layers) {
    if (!rest.starts_with(layers)) continue;
    rest.remove_prefix(layers.size());
    const auto end = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (end == 0 || end == rest.size() || rest[end] != '.') return {};
    prefix = "blk." + std::string(rest.substr(0, end + 1));
    rest.remove_prefix(end + 1);
    break;
  }
  if (const std::string_view own = find_pair(family.names, rest); !own.empty())
    return own == "-" ? std::string() : prefix + std::string(own);
  const auto dot = rest.rfind('.');
  if (dot == rest.npos) return {};
  const std::string_view part = rest.substr(0, dot);
  std::string_view kind = rest.substr(dot);
  if (kind == ".gamma") kind = ".weight";  // as old files have them
  if (kind == ".beta") kind = ".bias";
  const std::string_view to = renamed(family, part);
  return to.empty() ? std::string() : prefix + std::string(to) + std::string(kind);
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

// Of those that the configuration counts.
bool is_of_a_layer(std::string_view name, u32 layers) {
  constexpr std::string_view start = "blk.";
  if (!name.starts_with(start)) return true;
  u32 layer = 0;
  std::from_chars(name.data() + start.size(), name.data() + name.size(), layer);
  return layer < layers;
}

// Leaves out the first rows.
Status skip_rows(TensorInfo& tensor, u32 rows) {
  if (tensor.dims != 2 || tensor.shape[1] <= rows) return fail(ErrorCode::bad_model, "position embeddings are missing");
  const u64 skipped = tensor.bytes / tensor.shape[1] * rows;
  tensor.shape[1] -= rows;
  tensor.offset += skipped;
  tensor.bytes -= skipped;
  return {};
}

// A number that lies behind the others of a vector in its file.
Status join_number(const TensorInfo& number, std::size_t plus, std::vector<NamedTensor>& named) {
  TensorInfo* last = named.empty() ? nullptr : &named.back().tensor;
  const std::string_view name(number.name);
  if (!last || last->name != name.substr(0, plus) || name.substr(plus + 1) != std::to_string(last->shape[0]) ||
      last->dims != 1 || number.weights() != 1 || number.type != last->type || number.file != last->file ||
      number.offset != last->offset + last->bytes)
    return fail(ErrorCode::unsupported, "the numbers of " + quoted(name.substr(0, plus)) + " do not follow each other");
  ++last->shape[0];
  last->bytes += number.bytes;
  return {};
}

// Files of a server whose size is not known may claim any; with this no sum overflows.
Status check_bytes(const std::vector<TensorInfo>& tensors) {
  constexpr u64 most = u64{1} << 48;
  u64 bytes = 0;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.bytes > most - bytes)
      return fail(ErrorCode::bad_model, "tensor " + quoted(tensor.name) + " and those before it have too many bytes");
    bytes += tensor.bytes;
  }
  return {};
}

// Names become GGUF's; what has none there is left out.
Result<std::vector<NamedTensor>> rename(const std::vector<TensorInfo>& tensors, const Config& config, u32 layers) {
  std::vector<NamedTensor> named;
  const bool made = !config.family().made.empty();  // those beyond would not be whole
  bool head = false;
  for (const TensorInfo& from : tensors) {
    TensorInfo tensor = from;
    std::string name = from.name;
    const std::optional<u32> number = take_number(name);
    tensor.name = gguf_name(std::move(name), config.family());
    const bool is_head = tensor.name.starts_with("output.");
    if (tensor.name.empty() || (made && !is_of_a_layer(tensor.name, layers))) continue;
    if (const auto plus = tensor.name.find('+'); plus != std::string::npos) {
      PRONK_OK(join_number(tensor, plus, named));
      continue;
    }
    PRONK_OK(shape_books(tensor, config, from.name));
    if (tensor.name == "position_embd.weight") PRONK_OK(skip_rows(tensor, config.family().first_position));
    const bool norm = tensor.name.ends_with("norm.weight") && !tensor.name.ends_with("ssm_norm.weight");
    if (config.family().norms_from_one && norm) tensor.added = 1;
    if (tensor.name == "token_embd.weight" && tensor.rows() != config.vocab()) {
      return fail(ErrorCode::bad_model, "tensor " + quoted(from.name) + " has " + std::to_string(tensor.rows()) +
                                            " rows, but 'vocab_size' is " + std::to_string(config.vocab()));
    }
    head = head || is_head;
    named.push_back({std::move(tensor), from.name, number});
  }
  if (!head && !config.tied() && !config.may_be_tied() && !config.family().encoder)
    return fail(ErrorCode::bad_model, "tensor 'lm_head.weight' is missing");
  return named;
}

}  // namespace

bool plain_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." && std::ranges::none_of(name, [](char c) {
    return u8(c) < 0x20 || std::string_view("/\\%:?#").find(c) != std::string_view::npos;
  });
}

Result<files::Gguf> translate(const Config& config, std::string_view config_name,
                              const std::vector<TensorInfo>& tensors) {
  files::GgufWriter writer;
  if (Status status = config.write(writer); !status) {
    return fail(status.error().code, std::string(config_name) + ": " + status.error().message);
  }
  const std::vector<u8> bytes = writer.header();
  PRONK_TRY(files::GgufPrefix parsed, files::parse_gguf(bytes, bytes.size()));
  CHECK(parsed.gguf);
  files::Gguf& gguf = *parsed.gguf;
  PRONK_TRY(const u32 layers, gguf.metadata.u32_at(std::string(config.family().architecture) + ".block_count"));
  PRONK_OK(check_bytes(tensors));
  PRONK_TRY(std::vector<NamedTensor> named, rename(tensors, config, layers));
  PRONK_TRY(gguf.tensors, assemble(std::move(named), config.family(), gguf.metadata));
  PRONK_OK(files::index_tensors(*parsed.gguf));
  return std::move(*parsed.gguf);
}

}  // namespace pronk::sources
