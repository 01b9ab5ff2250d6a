#include "sources/aqlm_rs.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/quote.h"
#include "files/ggml_types.h"
#include "sources/translate.h"

namespace pronk::sources {

namespace {

using files::SafeTensor;
using files::Stored;
using files::TensorInfo;

constexpr std::string_view file_end = ".safetensors";
constexpr std::string_view norm_file = "model.norm.weight.safetensors", config_file = "config.json",
                           ranks_file = "tokenizer.model",
                           second_layout_file = "lm_head.0.1.weight_max_values.safetensors";
constexpr std::string_view names[] = {norm_file, config_file, ranks_file, second_layout_file};
constexpr std::string_view matrices[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                         "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
constexpr std::array<u64, 3> books = {8, 256, 2};  // group, entries, books
constexpr u64 block = 64;                          // weights of a scale in the second layout
constexpr u32 most_layers = 1024;

// The models that the program runs, as their makers publish them.
struct Known {
  u64 width, layers;
  u32 head;
  u32 rope_factor;  // of llama3 scaling; 0: none
  u32 context;
};
constexpr Known known[] = {
    {2048, 16, 64, 32, 131072},  // Llama 3.2 1B
    {3072, 28, 128, 32, 131072},
    {4096, 32, 128, 8, 131072},  // Llama 3.1 8B
    {8192, 80, 128, 8, 131072},
};
constexpr Known small = {2048, 0, 64, 0, 8192};  // any of at most this width

// What becomes of a tensor by the end of its name. type: of GGML.
struct Kind {
  std::string_view from, to;
  std::string_view dtype;
  u32 dims;  // 0: any
  u32 type;
  Stored stored;
};
constexpr Kind kinds[] = {
    {".codes_120", ".codes", "U8", 3, 24, Stored::columns},
    {".codebooks", ".codebooks", "F32", 4, 0, Stored::whole},
    {".scales", ".scales", "F32", 0, 0, Stored::whole},
    {"norm.weight", "norm.weight", "F32", 1, 0, Stored::whole},
    {".weight_int8", ".weight", "I8", 2, 8, Stored::numbers},
    {".weight_max_values", ".column_scales", "F32", 0, 0, Stored::of_127},
    {".weight_nf4", ".weight", "U8", 2, files::own_type + 1, Stored::whole},
    {".weight_scales", "", "F32", 0, 0, Stored::whole},  // of the codes before it
};

std::string layer_name(u64 layer, std::string_view rest) {
  return "model.layers." + std::to_string(layer) + "." + std::string(rest);
}

std::string described(const SafeTensor& tensor) {
  std::string shape;
  for (const u64 size : tensor.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
  return std::string(tensor.dtype->name) + " [" + shape + "]";
}

std::unexpected<Error> wrong(const SafeTensor& tensor, std::string_view wanted) {
  return fail(ErrorCode::bad_model,
              "tensor " + quoted(tensor.name) + " is " + described(tensor) + ", not " + std::string(wanted));
}

Result<const Kind*> kind_of(const SafeTensor& tensor) {
  const auto kind = std::ranges::find_if(kinds, [&](const Kind& each) { return tensor.name.ends_with(each.from); });
  CHECK(kind != std::end(kinds));
  const bool good =
      tensor.dtype->name == kind->dtype && tensor.bytes > 0 && (kind->dims == 0 || kind->dims == tensor.shape.size());
  if (good) return kind;
  return wrong(tensor,
               std::string(kind->dtype) + (kind->dims == 0 ? "" : " of " + std::to_string(kind->dims) + " dimensions"));
}

// The fastest dimension first.
Status give_shape(const SafeTensor& from, const Kind& kind, TensorInfo& tensor) {
  const auto set = [&](std::initializer_list<u64> shape) {
    tensor.dims = u32(shape.size());
    std::ranges::copy(shape, tensor.shape.begin());
  };
  if (kind.stored == Stored::columns) {
    if (from.shape[1] != books[2]) return wrong(from, "codes of two books, [groups, 2, rows]");
    set({from.shape[1], from.shape[0], from.shape[2]});
  } else if (kind.from == ".codebooks") {
    const auto [group, entries, count] = books;
    if (from.shape != std::vector<u64>{count, entries, 1, group}) return wrong(from, "F32 [2, 256, 1, 8]");
    set({group, 1, entries, count});
  } else if (kind.stored == Stored::numbers) {
    if (from.shape[1] % 32 != 0) return wrong(from, "rows of a multiple of 32");
    set({from.shape[1], from.shape[0]});
  } else if (kind.to == ".weight") {
    if (from.shape[1] % (block / 2) != 0) return wrong(from, "rows of a multiple of 32 bytes");
    set({2 * from.shape[1], from.shape[0]});
  } else {
    set({from.bytes / sizeof(float)});
  }
  return {};
}

// One tensor, named as its file.
Result<SafeTensor> only_tensor(files::Safetensors&& file, std::string_view file_name) {
  const std::string_view name = file_name.substr(0, file_name.size() - file_end.size());
  if (file.tensors.size() == 1 && file.tensors[0].name == name) return std::move(file.tensors[0]);
  return fail(ErrorCode::bad_model,
              "holds " + std::to_string(file.tensors.size()) + " tensors, not " + quoted(name) + " and nothing else");
}

}  // namespace

std::span<const std::string_view> AqlmRs::file_names() { return names; }

Status AqlmRs::add_file(std::string_view name, std::string contents) {
  Status status;
  if (name == norm_file) {
    const std::span<const u8> bytes(reinterpret_cast<const u8*>(contents.data()), contents.size());
    auto parsed = files::parse_safetensors(bytes, bytes.size());
    if (parsed && !parsed->file) parsed = fail(ErrorCode::bad_model, "ends within its header");
    auto norm = parsed ? only_tensor(std::move(*parsed->file), name) : std::unexpected(parsed.error());
    if (norm) norm_ = std::move(*norm);
    if (!norm) status = std::unexpected(norm.error());
  } else if (name == config_file) {
    auto json = files::Json::parse(std::move(contents));
    if (!json) status = std::unexpected(json.error());
    if (json) config_ = std::move(*json);
    if (auto config = Config::read(config_ ? config_->root() : files::JsonValue()); status && !config)
      status = std::unexpected(config.error());
  } else if (name == ranks_file) {
    texts_.ranks = std::move(contents);
  } else if (name == second_layout_file) {
    second_layout_ = true;
  }
  if (!status) return fail(status.error().code, std::string(name) + ": " + status.error().message);
  list_files();
  return {};
}

void AqlmRs::add_names(std::span<const std::string_view> all) {
  for (listed_layers_ = 0; listed_layers_ < most_layers; ++listed_layers_) {
    const std::string file = layer_name(listed_layers_, "input_layernorm.weight") + std::string(file_end);
    if (std::ranges::find(all, file) == all.end()) break;
  }
  list_files();
}

u64 AqlmRs::width() const { return norm_ ? norm_->bytes / sizeof(float) : 0; }

u64 AqlmRs::layers() const {
  if (config_) return config_->root()["num_hidden_layers"].integer().value_or(0);
  if (listed_layers_ > 0) return listed_layers_;
  const auto model = std::ranges::find(known, width(), &Known::width);
  return model == std::end(known) ? 0 : model->layers;
}

void AqlmRs::list_files() {
  weight_files_.clear();
  const u64 count = layers();
  if (count == 0 || count > most_layers) return;
  const auto add = [&](std::string name) { weight_files_.push_back(std::move(name.append(file_end))); };
  add(second_layout_ ? "model.embed_tokens.weight_nf4" : "model.embed_tokens.weight_int8");
  add(second_layout_ ? "model.embed_tokens.weight_scales" : "model.embed_tokens.weight_max_values");
  for (u64 i = 0; i < count; ++i) {
    add(layer_name(i, "input_layernorm.weight"));
    for (const std::string_view matrix : matrices) {
      for (const char* part : {".codes_120", ".codebooks", ".scales"}) add(layer_name(i, matrix) + part);
    }
    add(layer_name(i, "post_attention_layernorm.weight"));
  }
  add("model.norm.weight");
  add(second_layout_ ? "lm_head.0.1.weight_int8" : "lm_head.weight_int8");
  add(second_layout_ ? "lm_head.0.1.weight_max_values" : "lm_head.weight_max_values");
}

Result<u64> AqlmRs::add_header(std::span<const u8> prefix, std::optional<u64> file_size) {
  CHECK(tensors_.size() < weight_files_.size());
  PRONK_TRY(files::SafetensorsPrefix parsed, files::parse_safetensors(prefix, file_size));
  if (!parsed.file) return parsed.bytes_needed;
  PRONK_TRY(SafeTensor tensor, only_tensor(std::move(*parsed.file), weight_files_[tensors_.size()]));
  PRONK_OK(kind_of(tensor));
  tensors_.push_back(std::move(tensor));
  return u64{0};
}

const SafeTensor* AqlmRs::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors_, name, &SafeTensor::name);
  return found == tensors_.end() ? nullptr : &*found;
}

Result<std::vector<TensorInfo>> AqlmRs::tensors() const {
  std::vector<TensorInfo> all;
  for (u32 file = 0; file < tensors_.size(); ++file) {
    const SafeTensor& from = tensors_[file];
    PRONK_TRY(const Kind* const kind, kind_of(from));
    if (kind->to.empty()) {
      if (all.back().weights() != from.bytes / sizeof(float) * block)
        return wrong(from, "a number for each 64 weights");
      all.back().scales = {file, from.offset, from.bytes};
      continue;
    }
    std::string stem = from.name.substr(0, from.name.size() - kind->from.size());
    if (stem.starts_with("lm_head.")) stem = "lm_head";
    TensorInfo tensor{.name = stem + std::string(kind->to),
                      .type = kind->type,
                      .offset = from.offset,
                      .bytes = from.bytes,
                      .file = file,
                      .stored = kind->stored};
    PRONK_OK(give_shape(from, *kind, tensor));
    all.push_back(std::move(tensor));
  }
  return all;
}

// What config.json would say.
Result<std::string> AqlmRs::usual_config() const {
  const auto found =
      std::ranges::find_if(known, [&](const Known& m) { return m.width == width() && m.layers == layers(); });
  const Known& model = found == std::end(known) ? small : *found;
  const auto number = [](u64 value) { return std::to_string(value); };
  if (width() == 0 || width() > model.width || width() % model.head != 0) {
    return fail(ErrorCode::unsupported, "a model of " + number(layers()) + " layers and width " + number(width()) +
                                            " is none of those that are known: a config.json must say what it is");
  }
  const auto outputs = [&](std::string_view matrix) {
    return find(layer_name(0, matrix) + ".codes_120")->shape[2];  // kind_of() has seen it
  };
  const u64 keys = outputs("self_attn.k_proj"), head = model.head;
  if (keys % head != 0) return wrong(*find(layer_name(0, "self_attn.k_proj.codes_120")), "rows of whole heads");
  std::string config = R"({"model_type": "llama", "rms_norm_eps": 1e-5, "rope_theta": 500000)";
  const auto add = [&](std::string_view key, u64 value) {
    config.append(", \"").append(key).append("\": ").append(number(value));
  };
  add("num_hidden_layers", layers());
  add("hidden_size", width());
  add("intermediate_size", outputs("mlp.gate_proj"));
  add("num_attention_heads", width() / head);
  add("num_key_value_heads", keys / head);
  add("head_dim", head);
  add("vocab_size", tensors_[0].shape[0]);
  add("max_position_embeddings", model.context);
  if (model.rope_factor == 0) return config + "}";
  return config + R"(, "rope_scaling": {"rope_type": "llama3", "low_freq_factor": 1, "high_freq_factor": 4,
                    "original_max_position_embeddings": 8192, "factor": )" +
         number(model.rope_factor) + "}}";
}

Result<files::Gguf> AqlmRs::header() const {
  if (weight_files_.empty()) {
    return fail(ErrorCode::unsupported, "nothing says how many layers the model of width " + std::to_string(width()) +
                                            " has: a config.json must");
  }
  CHECK(tensors_.size() == weight_files_.size());
  PRONK_TRY(const std::vector<TensorInfo> all, tensors());
  files::Json usual;
  if (!config_) {
    PRONK_TRY(const std::string text, usual_config());
    PRONK_TRY(usual, files::Json::parse(text));
  }
  PRONK_TRY(Config config, Config::read(config_ ? config_->root() : usual.root()));
  config.set_aqlm(books);
  return translate(config, config_file, all);
}

}  // namespace pronk::sources
