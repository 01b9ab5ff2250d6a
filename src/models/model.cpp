#include "models/model.h"

#include <algorithm>
#include <cmath>

#include "base/quote.h"

namespace pronk::models {
namespace {

Result<u32> positive(const files::Metadata& metadata, const std::string& key) {
  PRONK_TRY(const u32 value, metadata.u32_at(key));
  if (value == 0 || value > 1u << 24)
    return fail("metadata key '" + key + "' is " + std::to_string(value) + ": out of range");
  return value;
}

// head_count_kv and feed_forward_length may be arrays with one entry a layer; pronk runs them when all are equal.
Result<u32> positive_each_layer(const files::Metadata& metadata, const std::string& key) {
  const auto array = metadata.integers_or_null(key);
  if (!array || *array == nullptr) return positive(metadata, key);
  const files::Array& values = **array;
  for (u64 i = 0; i < values.count(); ++i) {
    if (values.integer(i) != values.integer(0))
      return fail(ErrorCode::unsupported, "metadata key '" + key + "' differs between layers: not supported");
  }
  if (values.count() == 0 || values.integer(0) < 1 || values.integer(0) > 1 << 24) {
    return fail("metadata key '" + key + "' is out of range");
  }
  return u32(values.integer(0));
}

Result<graph::Heads> read_heads(const files::Metadata& metadata, const std::string& arch, u32 width) {
  graph::Heads heads;
  PRONK_TRY(heads.query, positive(metadata, arch + ".attention.head_count"));
  heads.kv = heads.query;
  if (metadata.has(arch + ".attention.head_count_kv")) {
    PRONK_TRY(heads.kv, positive_each_layer(metadata, arch + ".attention.head_count_kv"));
  }
  if (heads.query % heads.kv != 0) {
    return fail(arch + ".attention.head_count " + std::to_string(heads.query) + " is not a multiple of head_count_kv " +
                std::to_string(heads.kv));
  }
  PRONK_TRY(heads.dim, metadata.u32_or(arch + ".attention.key_length", width / heads.query));
  PRONK_TRY(const u32 value_dim, metadata.u32_or(arch + ".attention.value_length", heads.dim));
  if (value_dim != heads.dim)
    return fail(ErrorCode::unsupported, arch + ".attention.value_length differs from key_length: not supported");
  if (heads.dim < 4 || heads.dim > 256 || heads.dim % 4 != 0) {
    return fail(ErrorCode::unsupported, "attention head size " + std::to_string(heads.dim) +
                                            " is not a multiple of 4 between 4 and 256: not supported");
  }
  PRONK_TRY(heads.rotated, metadata.u32_or(arch + ".rope.dimension_count", heads.dim));
  if (heads.rotated == 0 || heads.rotated > heads.dim || heads.rotated % 2 != 0) {
    return fail("metadata key '" + arch + ".rope.dimension_count' is " + std::to_string(heads.rotated) +
                ": not an even number up to the head size " + std::to_string(heads.dim));
  }
  PRONK_TRY(const double scale, metadata.f64_or(arch + ".attention.scale", 1.0 / std::sqrt(double(heads.dim))));
  heads.scale = scale == 0 ? float(1.0 / std::sqrt(double(heads.dim))) : float(scale);
  if (!std::isfinite(heads.scale)) return fail("metadata key '" + arch + ".attention.scale' is not finite");
  return heads;
}

Result<Hyper> read_hyper(const files::Gguf& file, const std::string& arch) {
  const files::Metadata& metadata = file.metadata;
  Hyper hyper;
  PRONK_TRY(hyper.layers, positive(metadata, arch + ".block_count"));
  if (hyper.layers > 1024)
    return fail("metadata key '" + arch + ".block_count' is " + std::to_string(hyper.layers) + ": out of range");
  PRONK_TRY(hyper.width, positive(metadata, arch + ".embedding_length"));
  PRONK_TRY(hyper.feed_forward, positive_each_layer(metadata, arch + ".feed_forward_length"));
  PRONK_TRY(hyper.context_length, metadata.u32_or(arch + ".context_length", 2048));
  if (hyper.context_length == 0) hyper.context_length = 2048;
  PRONK_TRY(const double eps, metadata.f64_at(arch + ".attention.layer_norm_rms_epsilon"));
  if (!(eps >= 0 && eps < 1))
    return fail("metadata key '" + arch + ".attention.layer_norm_rms_epsilon' is out of range");
  hyper.norm_eps = float(eps);
  PRONK_TRY(hyper.heads, read_heads(metadata, arch, hyper.width));

  const files::TensorInfo* embedding = file.find("token_embd.weight");
  if (!embedding) return fail("tensor 'token_embd.weight' is missing: the file holds no model weights");
  if (embedding->rows() == 0 || embedding->rows() > 1u << 24)
    return fail("tensor 'token_embd.weight' has an absurd number of rows");
  hyper.vocab = u32(embedding->rows());
  return hyper;
}

// Dimension at which a wavelength makes `turns` rotations over the original context (arXiv 2309.00071, eq. 17–18).
double yarn_dimension(double turns, double rotated, double base, double original_context) {
  return rotated * std::log(original_context / (turns * 2 * M_PI)) / (2 * std::log(base));
}

}  // namespace

graph::WeightId Weights::take(const std::string& name, u32 rows, u32 cols, bool required) {
  const auto reject = [&](std::string message) {
    if (status_) status_ = fail(std::move(message));
    return builder_.weight(name, &formats::table().front(), rows, cols);  // never run
  };
  const files::TensorInfo* tensor = file_.find(name);
  if (!tensor && !required) return graph::WeightId::none;
  if (!tensor) return reject("tensor '" + name + "' is missing");
  if (tensor->shape[0] != cols || tensor->rows() != rows) {
    return reject("tensor '" + name + "' has shape [" + std::to_string(tensor->shape[0]) + ", " +
                  std::to_string(tensor->rows()) + "], the model needs [" + std::to_string(cols) + ", " +
                  std::to_string(rows) + "]");
  }
  const formats::Format* format = formats::find(tensor->type);
  if (!format) {
    const std::string_view type = formats::ggml_type_name(tensor->type);
    return reject("tensor '" + name + "' has type " +
                  (type.empty() ? std::to_string(tensor->type) : std::string(type)) +
                  ", which pronk does not support yet");
  }
  const auto [at, added] = taken_.try_emplace(name);  // in the graph a weight is a tensor that the loader waits for
  if (added) at->second = builder_.weight(name, format, rows, cols);
  return at->second;
}

graph::ValueId swiglu_feed_forward(LayerContext& c, graph::ValueId x) {
  const Hyper& h = c.hyper;
  const auto n = c.graph.rms_norm(x, c.weights.vector(c.name("ffn_norm.weight"), h.width), h.norm_eps);
  const auto project = [&](graph::ValueId in, std::string_view part, u32 rows, u32 cols) {
    const std::string stem = c.name(part);
    return c.graph.matmul(in, c.weights.matrix(stem + ".weight", rows, cols),
                          c.weights.optional_vector(stem + ".bias", rows));
  };
  const auto hidden = c.graph.swiglu(project(n, "ffn_gate", h.feed_forward, h.width),  // [tokens, feed_forward]
                                     project(n, "ffn_up", h.feed_forward, h.width));
  return c.graph.add(x, project(hidden, "ffn_down", h.width, h.feed_forward));
}

Result<graph::Rotation> read_rotation(const files::Metadata& metadata, const std::string& arch, u32 rotated) {
  PRONK_TRY(const double base, metadata.f64_or(arch + ".rope.freq_base", 10000.0));
  if (!(base > 0)) return fail("metadata key '" + arch + ".rope.freq_base' is not above 0");
  PRONK_TRY(const std::string_view type, metadata.string_or(arch + ".rope.scaling.type", "linear"));
  if (type != "none" && type != "linear" && type != "yarn") {
    return fail(ErrorCode::unsupported,
                "metadata key '" + arch + ".rope.scaling.type' is " + quoted(type) + ": not supported");
  }
  PRONK_TRY(const double legacy, metadata.f64_or(arch + ".rope.scale_linear", 1.0));
  PRONK_TRY(double factor, metadata.f64_or(arch + ".rope.scaling.factor", legacy));
  if (type == "none") factor = 1;
  if (factor == 0) factor = 1;
  if (!(factor > 0)) return fail("metadata key '" + arch + ".rope.scaling.factor' is not above 0");

  graph::Rotation rotation;
  for (u32 i = 0; i < rotated / 2; ++i) {
    rotation.frequency.push_back(std::pow(base, -2.0 * i / rotated) / factor);
  }
  if (type != "yarn") return rotation;

  PRONK_TRY(const u64 trained, metadata.u64_or(arch + ".context_length", 2048));
  PRONK_TRY(const u64 original, metadata.u64_or(arch + ".rope.scaling.original_context_length", trained));
  PRONK_TRY(const double extrapolation, metadata.f64_or(arch + ".rope.scaling.yarn_ext_factor", 1.0));
  PRONK_TRY(const double attention,
            metadata.f64_or(arch + ".rope.scaling.yarn_attn_factor",
                            metadata.f64_or(arch + ".rope.scaling.attn_factor", 1.0).value_or(1.0)));
  PRONK_TRY(const double beta_fast, metadata.f64_or(arch + ".rope.scaling.yarn_beta_fast", 32.0));
  PRONK_TRY(const double beta_slow, metadata.f64_or(arch + ".rope.scaling.yarn_beta_slow", 1.0));
  const double low = std::max(0.0, std::floor(yarn_dimension(beta_fast, rotated, base, double(original))));
  const double high = std::min(rotated - 1.0, std::ceil(yarn_dimension(beta_slow, rotated, base, double(original))));
  for (u32 i = 0; i < rotated / 2; ++i) {
    const double ramp = std::clamp((i - low) / std::max(0.001, high - low), 0.0, 1.0);
    const double keep = (1 - ramp) * extrapolation;  // share of the unscaled frequency
    rotation.frequency[i] *= (1 - keep) + keep * factor;
  }
  rotation.magnitude = attention * (extrapolation != 0 ? 1 + 0.1 * std::log(factor) : 1.0);
  return rotation;
}

Result<Model> read_model(const files::Gguf& file) {
  PRONK_TRY(const std::string_view name, file.metadata.string_at("general.architecture"));
  const auto known = architectures();
  const auto found = std::find_if(known.begin(), known.end(), [&](const Architecture* a) { return a->name == name; });
  if (found == known.end()) {
    std::string list;
    for (const Architecture* a : known) list += (list.empty() ? "" : ", ") + std::string(a->name);
    return fail(ErrorCode::unsupported, "architecture " + quoted(name) + " is not supported (pronk runs " + list + ")");
  }

  Model model{std::string(name), {}, {}};
  PRONK_TRY(model.hyper, read_hyper(file, model.architecture));
  Hyper& h = model.hyper;
  h.heads.pairs = (*found)->rope_pairs;
  graph::Builder builder(h.heads, h.layers);
  Weights weights(file, builder);

  PRONK_TRY(graph::Rotation rotation, read_rotation(file.metadata, model.architecture, h.heads.rotated));
  bool finite = std::isfinite(rotation.magnitude);
  for (double frequency : rotation.frequency) finite = finite && std::isfinite(frequency);
  if (!finite) return fail("the rope metadata of '" + model.architecture + "' gives frequencies that are not finite");
  rotation.factors = weights.optional_vector("rope_freqs.weight", h.heads.rotated / 2);
  builder.rotate_by(std::move(rotation));

  const graph::WeightId embedding = weights.matrix("token_embd.weight", h.vocab, h.width);
  graph::ValueId x = builder.embed(embedding);  // [tokens, width]
  for (u32 layer = 0; layer < h.layers && weights.status(); ++layer) {
    LayerContext context{builder, weights, h, layer};
    x = (*found)->layer(context, x);
  }
  x = builder.rms_norm(x, weights.vector("output_norm.weight", h.width), h.norm_eps);
  const bool tied = !weights.has("output.weight");
  const graph::ValueId logits = builder.matmul(x, tied ? embedding : weights.matrix("output.weight", h.vocab, h.width),
                                               weights.optional_vector("output.bias", h.vocab));
  PRONK_OK(weights.status());
  model.graph = builder.finish(logits);
  return model;
}

}  // namespace pronk::models
