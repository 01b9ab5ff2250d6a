// The small models of engine_model.h as folders that Hugging Face's libraries would write, in memory.
#pragma once

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "files/gguf.h"
#include "support/engine_driver.h"
#include "support/engine_model.h"

namespace pronk::test {

struct Folder {
  std::map<std::string, std::string> texts;  // small files by name
  ModelFiles weights;                        // in the order of Model::weight_files()
};

struct FolderTensor {
  std::string name, dtype;
  std::vector<u64> shape;
  std::vector<u8> data;
};

// A safetensors file; the header is not padded, so the data may start anywhere.
inline std::vector<u8> safetensors_file(const std::vector<FolderTensor>& tensors) {
  nlohmann::json header = nlohmann::json::object();
  u64 offset = 0;
  for (const FolderTensor& tensor : tensors) {
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + tensor.data.size()}}};
    offset += tensor.data.size();
  }
  const std::string text = header.dump();
  const u64 length = text.size();
  std::vector<u8> file(8 + length);
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, text.data(), length);
  for (const FolderTensor& tensor : tensors) file.insert(file.end(), tensor.data.begin(), tensor.data.end());
  return file;
}

// One file a shard, and the index when there are several.
inline void add_shards(Folder& folder, const std::vector<FolderTensor>& tensors, u32 shards) {
  nlohmann::json map;
  for (u32 shard = 0; shard < shards; ++shard) {
    const std::string name = "model-" + std::to_string(shard + 1) + "-of-" + std::to_string(shards) + ".safetensors";
    std::vector<FolderTensor> part;
    for (std::size_t i = shard; i < tensors.size(); i += shards) part.push_back(tensors[i]);
    for (const FolderTensor& tensor : part) map[tensor.name] = name;
    folder.weights.push_back(safetensors_file(part));
  }
  if (shards > 1) folder.texts["model.safetensors.index.json"] = nlohmann::json{{"weight_map", map}}.dump();
}

inline std::string folder_tensor_name(std::string name, bool gemma) {
  std::vector<std::pair<std::string, std::string>> renames = {
      {"token_embd.", "model.embed_tokens."},
      {"output_norm.", "model.norm."},
      {"output.", "lm_head."},
      {"attn_q.", "self_attn.q_proj."},
      {"attn_k.", "self_attn.k_proj."},
      {"attn_v.", "self_attn.v_proj."},
      {"attn_output.", "self_attn.o_proj."},
      {"attn_q_norm.", "self_attn.q_norm."},
      {"attn_k_norm.", "self_attn.k_norm."},
      {"ffn_gate.", "mlp.gate_proj."},
      {"ffn_up.", "mlp.up_proj."},
      {"ffn_down.", "mlp.down_proj."},
      {"attn_norm.", "input_layernorm."},
      {"post_attention_norm.", "post_attention_layernorm."},
      {"post_ffw_norm.", "post_feedforward_layernorm."},
      {"ffn_norm.", gemma ? "pre_feedforward_layernorm." : "post_attention_layernorm."}};
  std::string prefix;
  if (name.starts_with("blk.")) {
    const auto dot = name.find('.', 4);
    prefix = "model.layers." + name.substr(4, dot - 3);
    name.erase(0, dot + 1);
  }
  for (const auto& [from, to] : renames) {
    if (name.starts_with(from)) return prefix + to + name.substr(from.size());
  }
  ADD_FAILURE() << "no name for " << name;
  return name;
}

// Rows of pairs (2i, 2i + 1) of each head as pairs (i, i + n/2).
inline std::vector<float> halves_of(const std::vector<float>& rows, u64 cols, u64 head) {
  std::vector<float> out(rows.size());
  for (u64 row = 0; row < rows.size() / cols; ++row) {
    const u64 in_head = row % head, to = row - in_head + in_head % 2 * (head / 2) + in_head / 2;
    std::copy_n(rows.begin() + std::ptrdiff_t(row * cols), cols, out.begin() + std::ptrdiff_t(to * cols));
  }
  return out;
}

// What a GGUF file of F32 holds, as the original of it.
inline FolderTensor folder_tensor(const files::TensorInfo& tensor, const u8* data, const ModelSpec& spec) {
  const bool gemma = spec.arch == "gemma3", norm = tensor.name.ends_with("norm.weight");
  std::vector<float> values(tensor.weights());
  std::memcpy(values.data(), data, tensor.bytes);
  if (gemma && norm) {
    for (float& value : values) value -= 1;
  }
  const bool rotated =
      tensor.name.find("attn_q.") != std::string::npos || tensor.name.find("attn_k.") != std::string::npos;
  const u64 cols = tensor.dims == 1 ? 1 : tensor.shape[0];
  if (spec.arch == "llama" && rotated) values = halves_of(values, cols, spec.dim);
  FolderTensor out{
      .name = folder_tensor_name(tensor.name, gemma), .dtype = "F32", .data = std::vector<u8>(tensor.bytes)};
  if (tensor.dims == 2) out.shape.push_back(tensor.shape[1]);
  out.shape.push_back(tensor.shape[0]);
  std::memcpy(out.data.data(), values.data(), tensor.bytes);
  return out;
}

inline nlohmann::json folder_config(const ModelSpec& spec) {
  const bool gemma = spec.arch == "gemma3";
  nlohmann::json config = {{"model_type", gemma ? "gemma3_text" : spec.arch},
                           {"num_hidden_layers", spec.layers},
                           {"hidden_size", spec.width},
                           {"intermediate_size", spec.feed_forward},
                           {"max_position_embeddings", spec.context},
                           {"rms_norm_eps", 1e-5},
                           {"num_attention_heads", spec.heads},
                           {"num_key_value_heads", spec.kv_heads},
                           {"head_dim", spec.dim},
                           {"vocab_size", spec.vocab},
                           {"rope_theta", 10000},
                           {"tie_word_embeddings", spec.tied}};
  if (gemma) config["query_pre_attn_scalar"] = spec.dim;
  if (spec.window > 0) config["sliding_window"] = spec.window;
  return config;
}

inline Folder folder_of(const ModelSpec& spec, u32 shards = 1) {
  const std::vector<u8> file = model_files(spec)[0];
  const auto parsed = files::parse_gguf(file, file.size());
  std::vector<FolderTensor> tensors;
  for (const files::TensorInfo& tensor : parsed->gguf->tensors)
    tensors.push_back(folder_tensor(tensor, file.data() + tensor.offset, spec));
  Folder folder{.texts = {{"config.json", folder_config(spec).dump()}}, .weights = {}};
  add_shards(folder, tensors, shards);
  return folder;
}

inline Result<SharedModel> open_folder(const Folder& folder) {
  auto model = std::make_shared<Model>();
  for (const std::string_view name : Model::folder_files()) {
    const auto text = folder.texts.find(std::string(name));
    if (text != folder.texts.end()) PRONK_OK(model->add_file(name, text->second));
  }
  for (u32 i = 0; i < folder.weights.size(); ++i) {
    PRONK_TRY(const u64 needed, model->add_header(i, folder.weights[i], folder.weights[i].size()));
    if (needed != 0) return fail("a header needs more bytes");
  }
  PRONK_OK(model->finish_headers());
  return SharedModel(model);
}

}  // namespace pronk::test
