#include "models/build.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "formats/additive.h"
#include "models/rope.h"

namespace pronk::models {
namespace {

constexpr u32 most = 1 << 24;  // of any count in metadata

// By as many numbers of a key.
Result<std::vector<double>> divide(std::vector<double> frequency, const files::Metadata& metadata,
                                   const std::string& key) {
  PRONK_TRY(const files::Array* divisors, metadata.numbers_or_null(key));
  bool good = divisors && divisors->count() == frequency.size();
  for (u64 i = 0; good && i < frequency.size(); ++i) {
    const double divisor = divisors->number(i);
    good = divisor > 0 && std::isfinite(divisor);
    frequency[i] /= divisor;
  }
  if (good) return frequency;
  return pronk::fail("metadata key '" + key + "' is not " + std::to_string(frequency.size()) + " divisors above 0");
}

std::string shape_of(const files::TensorInfo& tensor) {
  return "[" + std::to_string(tensor.shape[0]) + ", " + std::to_string(tensor.rows()) + "]";
}

}  // namespace

Build::Build(const files::Gguf& file, std::string architecture) : file_(file), architecture_(std::move(architecture)) {
  hyper.layers = count("block_count");
  if (hyper.layers > 1024) {
    fail("metadata key '" + full("block_count") + "' is " + std::to_string(hyper.layers) + ": out of range",
         ErrorCode::unspecified);
    hyper.layers = 1;
  }
  hyper.width = count("embedding_length");
  hyper.context_length = whole_or("context_length", 2048);
  if (hyper.context_length == 0) hyper.context_length = 2048;
  const u64 rows = rows_of("token_embd.weight");
  if (rows == 0) fail("tensor 'token_embd.weight' is missing: the file holds no model weights", ErrorCode::unspecified);
  if (rows > most) fail("tensor 'token_embd.weight' has an absurd number of rows", ErrorCode::unspecified);
  hyper.vocab = u32(std::clamp<u64>(rows, 1, most));
}

// ---- Metadata

template <class T>
T Build::value_or(Result<T> result, T fallback) {
  if (result) return *result;
  if (status_) status_ = pronk::fail(result.error().code, result.error().message);
  return fallback;
}

bool Build::has_key(std::string_view key) const { return file_.metadata.has(full(key)); }

u32 Build::count(std::string_view key) {
  const u32 value = value_or(file_.metadata.u32_at(full(key)), 1u);
  if (value >= 1 && value <= most) return value;
  fail("metadata key '" + full(key) + "' is " + std::to_string(value) + ": out of range", ErrorCode::unspecified);
  return 1;
}

u32 Build::count_or(std::string_view key, u32 fallback) { return has_key(key) ? count(key) : fallback; }

u32 Build::whole_or(std::string_view key, u32 fallback) {
  return value_or(file_.metadata.u32_or(full(key), fallback), fallback);
}

double Build::number(std::string_view key) {
  if (has_key(key)) return number_or(key, 1);
  return value_or(file_.metadata.f64_at(full(key)), 1.0);
}

double Build::number_or(std::string_view key, double fallback) {
  const double value = value_or(file_.metadata.f64_or(full(key), fallback), fallback);
  if (std::isfinite(value)) return value;
  fail("metadata key '" + full(key) + "' is not finite", ErrorCode::unspecified);
  return fallback;
}

bool Build::flag_or(std::string_view key, bool fallback) {
  return value_or(file_.metadata.bool_or(full(key), fallback), fallback);
}

std::string_view Build::text_or(std::string_view key, std::string_view fallback) {
  return value_or(file_.metadata.string_or(full(key), fallback), fallback);
}

std::vector<u32> Build::each_layer(std::string_view key) {
  const auto array = file_.metadata.integers_or_null(full(key));
  if (!array || *array == nullptr) return std::vector<u32>(hyper.layers, count(key));
  const files::Array& values = **array;
  std::vector<u32> result(hyper.layers, 1);
  bool good = values.count() >= hyper.layers;
  for (u64 i = 0; good && i < hyper.layers; ++i) {
    good = values.integer(i) >= 0 && values.integer(i) <= most;
    result[i] = u32(values.integer(i));
  }
  if (good) return result;
  fail("metadata key '" + full(key) + "' is out of range, or has fewer numbers than there are layers",
       ErrorCode::unspecified);
  return std::vector<u32>(hyper.layers, 1);
}

std::vector<u32> Build::each_layer_or(std::string_view key, u32 fallback) {
  return has_key(key) ? each_layer(key) : std::vector<u32>(hyper.layers, fallback);
}

std::vector<double> Build::each_layer_number_or(std::string_view key, double fallback) {
  return has_key(key) ? each_layer_number_at(full(key)) : std::vector<double>(hyper.layers, fallback);
}

std::vector<double> Build::each_layer_number_at(const std::string& whole_key) {
  std::vector<double> result(hyper.layers, 1);
  bool good = true;
  const auto array = file_.metadata.numbers_or_null(whole_key);
  if (!array || *array == nullptr) {
    const double number = value_or(file_.metadata.f64_at(whole_key), 1.0);
    good = !std::isnan(number);
    result.assign(hyper.layers, number);
  } else {
    good = (*array)->count() >= hyper.layers;
    for (u64 i = 0; good && i < hyper.layers; ++i) {
      result[i] = (*array)->number(i);
      good = !std::isnan(result[i]);
    }
  }
  if (!good)
    fail("metadata key '" + whole_key + "' is not a number, or has fewer numbers than there are layers",
         ErrorCode::unspecified);
  return result;
}

std::vector<bool> Build::sliding_layers(u32 period) {
  constexpr std::string_view key = "attention.sliding_window_pattern";
  std::vector<bool> slides(hyper.layers);
  const auto array = file_.metadata.integers_or_null(full(key));
  if (array && *array) {
    const std::vector<u32> flags = each_layer(key);
    for (u32 i = 0; i < hyper.layers; ++i) slides[i] = flags[i] != 0;
    return slides;
  }
  period = count_or(key, period);
  for (u32 i = 0; i < hyper.layers; ++i) slides[i] = i % period != period - 1;
  return slides;
}

double Build::rms_eps() {
  const double eps = number("attention.layer_norm_rms_epsilon");
  if (!(eps >= 0 && eps < 1))
    fail("metadata key '" + full("attention.layer_norm_rms_epsilon") + "' is out of range", ErrorCode::unspecified);
  return eps;
}

double Build::layer_eps() {
  const double eps = number("attention.layer_norm_epsilon");
  if (!(eps >= 0 && eps < 1))
    fail("metadata key '" + full("attention.layer_norm_epsilon") + "' is out of range", ErrorCode::unspecified);
  return eps;
}

// ---- Tensors

u64 Build::rows_of(std::string_view name) const {
  const files::TensorInfo* tensor = file_.find(name);
  return tensor ? tensor->rows() : 0;
}

u64 Build::weights_of(std::string_view name) const {
  const files::TensorInfo* tensor = file_.find(name);
  return tensor ? tensor->weights() : 0;
}

WeightId Build::reject(const std::string& name, u32 rows, u32 cols, std::string message) {
  fail(std::move(message), ErrorCode::unspecified);
  return graph.weight(name, &formats::table().front(), rows, cols);  // never run
}

WeightId Build::add(const std::string& name, const files::TensorInfo& tensor, u32 rows, u32 cols, u32 first) {
  const formats::Format* format = formats::find(tensor.type);
  if (!format) {
    const std::string_view type = formats::ggml_type_name(tensor.type);
    return reject(name, rows, cols,
                  "tensor '" + name + "' has type " + (type.empty() ? std::to_string(tensor.type) : std::string(type)) +
                      ", which pronk does not support yet");
  }
  const auto [at, added] = taken_.try_emplace({name + "/" + std::to_string(rows), first});
  if (added) at->second = graph.weight(name, format, rows, cols, first, tensor.added);
  return at->second;
}

WeightId Build::take(const std::string& name, u32 rows, u32 cols, u32 first, u32 all_rows) {
  const files::TensorInfo* tensor = file_.find(name);
  const files::TensorInfo* codes = tensor ? nullptr : codes_of(name);
  if (codes) return take_codes(*codes, rows, cols, first, all_rows);
  if (!tensor) return reject(name, rows, cols, "tensor '" + name + "' is missing");
  if (tensor->shape[0] != cols || tensor->rows() != all_rows) {
    return reject(name, rows, cols,
                  "tensor '" + name + "' has shape " + shape_of(*tensor) + ", the model needs [" +
                      std::to_string(cols) + ", " + std::to_string(all_rows) + "]");
  }
  CHECK(u64(first) + rows <= all_rows);
  return add(name, *tensor, rows, cols, first);
}

const files::TensorInfo* Build::codes_of(std::string_view name) const {
  constexpr std::string_view kind = "weight";
  if (!name.ends_with(kind)) return nullptr;
  return file_.find(std::string(name.substr(0, name.size() - kind.size())) + "codes");
}

// codes [books, cols / group, rows], codebooks [group, entries, books], scales: one a row; the fastest dimension first.
WeightId Build::take_codes(const files::TensorInfo& codes, u32 rows, u32 cols, u32 first, u32 all_rows) {
  const std::string stem = codes.name.substr(0, codes.name.size() - std::string_view("codes").size());
  const files::TensorInfo* books = file_.find(stem + "codebooks");
  if (!books) return reject(codes.name, rows, cols, "tensor '" + stem + "codebooks' is missing");
  const auto [group, entries, count, one] = books->shape;
  const formats::Format* format = formats::find_additive(codes.type, count, group);
  const bool good = format && one == 1 && codes.shape == std::array<u64, 4>{count, cols / group, all_rows, 1} &&
                    cols % group == 0 && std::has_single_bit(entries) &&
                    entries <= u64{1} << formats::additive_code_bits(*format);
  if (!good) {
    return reject(codes.name, rows, cols,
                  "tensor '" + codes.name + "' is not codes of " + std::to_string(all_rows) + " rows of " +
                      std::to_string(cols) + " weights by '" + books->name + "'");
  }
  const auto [at, added] = taken_.try_emplace({codes.name + "/" + std::to_string(rows), first});
  if (!added) return at->second;
  const WeightId book = take(books->name, u32(entries * count), u32(group), 0, u32(entries * count));
  const WeightId scales = vector(stem + "scales", all_rows);
  at->second = graph.weight({codes.name, format, rows, cols, first, 0, book, scales});
  return at->second;
}

WeightId Build::matrices(const std::string& name, u32 count, u32 rows, u32 cols) {
  const u64 all = u64(count) * rows;
  if (all > ~0u) return reject(name, rows, cols, "tensor '" + name + "' has more rows than pronk runs");
  return take(name, u32(all), cols, 0, u32(all));
}

WeightId Build::vector(const std::string& name, u32 cols) {
  const files::TensorInfo* tensor = file_.find(name);
  if (tensor && tensor->scales)
    return reject(name, 1, cols, "tensor '" + name + "' is quantized, which vectors are not");
  if (tensor && tensor->weights() != cols) {
    return reject(name, 1, cols,
                  "tensor '" + name + "' has shape " + shape_of(*tensor) + ", the model needs " + std::to_string(cols) +
                      " numbers");
  }
  return tensor ? add(name, *tensor, 1, cols, 0) : reject(name, 1, cols, "tensor '" + name + "' is missing");
}

WeightId Build::optional_vector(const std::string& name, u32 cols) {
  return has(name) ? vector(name, cols) : WeightId::none;
}

// ---- Operations

ValueId Build::linear_rows(ValueId x, const std::string& stem, u32 first, u32 rows, u32 all_rows) {
  const std::string bias = stem + ".bias";
  if (!has(bias)) return graph.matmul(x, matrix_rows(stem + ".weight", first, rows, all_rows, graph.width(x)));
  if (rows != all_rows) {  // a slice of the product serves as well
    return graph.columns(linear(x, stem, all_rows), first, rows);
  }
  return graph.matmul(x, matrix(stem + ".weight", rows, graph.width(x)), vector(bias, rows));
}

ValueId Build::rms_norm(ValueId x, const std::string& stem) {
  return graph.rms_norm(x, vector(stem + ".weight", graph.width(x)), float(rms_eps()));
}

ValueId Build::layer_norm(ValueId x, const std::string& stem) {
  return graph.norm({.kind = graph::Norm::Kind::layer,
                     .x = x,
                     .weight = vector(stem + ".weight", graph.width(x)),
                     .bias = optional_vector(stem + ".bias", graph.width(x)),
                     .group = graph.width(x),
                     .eps = float(layer_eps())});
}

// A matrix whose columns have scales of their own is run without them: they are a factor of what it reads or gives.
ValueId Build::column_scaled(ValueId x, const std::string& stem) {
  const std::string name = stem + ".column_scales";
  return has(name) ? graph.map(graph::Function::multiply, x, vector(name, graph.width(x))) : x;
}

ValueId Build::logits(ValueId hidden) {
  const bool tied = !has("output.weight");
  hidden = column_scaled(hidden, tied ? "token_embd" : "output");
  return graph.matmul(hidden, matrix(tied ? "token_embd.weight" : "output.weight", hyper.vocab, hyper.width),
                      optional_vector("output.bias", hyper.vocab));
}

RopeId Build::rope(RopePairs pairs, u32 rotated, const RopeOptions& options) {
  const double base = number_or(options.base_key, options.base);
  if (!(base > 0)) fail("metadata key '" + full(options.base_key) + "' is not above 0", ErrorCode::unspecified);
  auto read = read_rope_table(file_.metadata, architecture_, rotated, base > 0 ? base : 1, options.scaled);
  graph::RopeTable table = value_or(std::move(read), graph::RopeTable{.frequency = std::vector<double>(rotated / 2)});
  table.pairs = flag_or("rope.halves", false) ? RopePairs::halves : pairs;
  if (!options.magnitude) table.magnitude = 1;
  if (!options.factors) return graph.rope_table(std::move(table));
  constexpr std::string_view short_key = "rope.scaling.short_factors", long_key = "rope.scaling.long_factors";
  if (has_key(short_key)) {
    table.long_above = count_or("rope.scaling.original_context_length", hyper.context_length);
    if (has_key(long_key)) table.long_frequency = value_or(divide(table.frequency, file_.metadata, full(long_key)), {});
    table.frequency =
        value_or(divide(table.frequency, file_.metadata, full(short_key)), std::vector<double>(rotated / 2));
    table.magnitude = number_or("rope.scaling.attn_factor", 1);
  } else if (has("rope_factors_long.weight")) {
    table.factors = vector("rope_factors_short.weight", rotated / 2);
    table.long_factors = vector("rope_factors_long.weight", rotated / 2);
    table.long_above = count_or("rope.scaling.original_context_length", hyper.context_length);
    table.magnitude = number_or("rope.scaling.attn_factor", 1);
  } else {
    table.factors = optional_vector("rope_freqs.weight", rotated / 2);
  }
  return graph.rope_table(std::move(table));
}

graph::Pooling Build::pooling() {
  const u32 type = whole_or("pooling_type", 0);
  if (type <= u32(graph::Pooling::rank)) return graph::Pooling(type);
  fail("metadata key '" + full("pooling_type") + "' is " + std::to_string(type) + ": not supported");
  return graph::Pooling::none;
}

void Build::fail(std::string message, ErrorCode code) {
  if (status_) status_ = pronk::fail(code, std::move(message));
}

Result<graph::Graph> Build::result() && {
  if (!status_) return std::unexpected(status_.error());
  return std::move(result_);
}

}  // namespace pronk::models
