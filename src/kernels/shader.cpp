#include "kernels/shader.h"

#include <bit>

#include "formats/additive.h"
#include "kernels/embedded.h"

namespace pronk::kernels {
namespace {

// The function in WGSL: of a and b, with its parameters in params.p0 … params.p3.
const char* expression(graph::Function function) {
  using enum graph::Function;
  switch (function) {
    case scale:
      return "params.p0 * a + params.p1";
    case clamp:
      return "clamp(a, params.p0, params.p1)";
    case soft_cap:
      return "params.p0 * tanh_of(a / params.p0)";
    case silu:
      return "silu(a)";
    case gelu:
      return "gelu(a)";
    case gelu_tanh:
      return "gelu_tanh(a)";
    case relu_squared:
      return "relu_squared(a)";
    case sigmoid:
      return "sigmoid(a)";
    case softplus:
      return "softplus(a)";
    case exponential:
      return "exp(a)";
    case xielu:
      return "xielu(a, params.p0, params.p1, params.p2, params.p3)";
    case add:
      return "a + b";
    case multiply:
      return "a * b";
    case add_scaled:
      return "a + params.p0 * b";
    case silu_gate:
      return "silu(a) * b";
    case gelu_gate:
      return "gelu(a) * b";
    case gelu_tanh_gate:
      return "gelu_tanh(a) * b";
    case relu_squared_gate:
      return "relu_squared(a) * b";
    case sigmoid_gate:
      return "a * sigmoid(b)";
    case clamped_gate:
      return "gated(min(a, params.p1), params.p0 * min(a, params.p1)) * (clamp(b, -params.p1, params.p1) + 1.0)";
    case learned_xielu:
      return "xielu(a, softplus(number(1u)), number(2u) + softplus(number(0u)), number(2u), number(3u))";
  }
  CHECK(false);
}

// What a fragment leaves out is added to it.
bool defines(const formats::Format& format, std::string_view function) {
  return wgsl_source(format.wgsl).find("fn " + std::string(function) + "(") != std::string_view::npos;
}

}  // namespace

bool has_bytes(const formats::Format& format) { return defines(format, "load_bytes") || defines(format, "scales_of"); }

Shader::Shader(std::string_view name) : name_(name) { params<StepState>("StepState"); }

void Shader::add_field(std::string_view name, bool is_float) {
  text_ += std::string(name) + (is_float ? ": f32,\n" : ": u32,\n");
}

void Shader::add_constant(const std::string& name, bool flag, u32 value) {
  const std::string literal = flag ? (value ? "true" : "false") : std::to_string(value) + "u";
  text_ += "const " + name + " = " + literal + ";\n";
  if (!flag) name_ += " " + name + "=" + std::to_string(value);
  if (flag && value) name_ += " " + name;
}

Shader& Shader::enable(std::string_view extension) {
  text_ = "enable " + std::string(extension) + ";\n" + text_;
  return *this;
}

Shader& Shader::add(std::string_view source) {
  text_ += wgsl_source(source);
  return *this;
}

Shader& Shader::add(std::string_view source, std::string_view placeholder, std::string_view text) {
  const std::string_view from = wgsl_source(source);
  std::size_t at = 0;
  for (std::size_t next; (next = from.find(placeholder, at)) != from.npos; at = next + placeholder.size()) {
    text_ += from.substr(at, next - at);
    text_ += text;
  }
  text_ += from.substr(at);
  return *this;
}

Shader& Shader::with(std::string_view source) {
  name_ += " " + std::string(source.substr(source.find('/') + 1));
  return add(source);
}

Shader& Shader::function(graph::Function function, bool named) {
  add("functions");
  text_ += "fn apply(a: f32, b: f32) -> f32 {\n  return " + std::string(expression(function)) + ";\n}\n";
  each_enumerator(function, [&](const char* name, graph::Function each) {
    if (named && each == function) name_ += " " + std::string(name);
  });
  return *this;
}

Shader& Shader::format(const formats::Format& format, u32 table_binding, bool keeps_books, bool odd_units,
                       bool halves) {
  halves_ = halves;
  text_ += std::string("const BY_HALVES = ") + (halves ? "true;\n" : "false;\n");
  if (format.gpu_table) {
    has_table_ = true;
    text_ += "@group(0) @binding(" + std::to_string(table_binding) + ") var<storage, read> table: array<u32>;\n";
  }
  if (formats::is_additive(format)) {
    add_constant("BOOKS", false, formats::additive_books(format));
    add_constant("CODE_BITS", false, formats::additive_code_bits(format));
    add_constant("GROUP_UNITS", false, format.block_weights / 8);
    add_constant("BOOKS_KEPT", true, keeps_books);
    add_constant("ODD_UNITS", true, odd_units);
  }
  with(format.wgsl).add("weights");
  return defines(format, "scales_of") ? add("code_book") : *this;
}

Shader& Shader::products(const formats::Format& format, bool int8) {
  if (!int8) return blocks(format).add("products");
  name_ += " int8";
  return scaled(format).bytes(format).add("products_int8");
}

Shader& Shader::scaled(const formats::Format& format) {
  if (!defines(format, "weight_scale")) text_ += "fn weight_scale(row: u32) -> f32 {\n  return 1.0;\n}\n";
  return *this;
}

Shader& Shader::blocks(const formats::Format& format) {
  scaled(format);
  const bool has_book = defines(format, "scales_of"), has_floats = defines(format, "load32") || has_book;
  if (has_bytes(format) && !has_floats) {
    add("load_bytes");
  } else {
    text_ += std::string("const SHIFT = 0.0;\nconst STEP = ") + (has_bytes(format) ? "1u;\n" : "4u;\n");
    if (!has_floats) add("load32");
  }
  return prepared(format, halves_ ? "code_book_pairs" : "code_book_floats");
}

Shader& Shader::bytes(const formats::Format& format) {
  CHECK(has_bytes(format));
  return prepared(format, "code_book_bytes").add("quantized");
}

Shader& Shader::prepared(const formats::Format& format, std::string_view code_book) {
  const bool has_book = defines(format, "scales_of"), prepares = has_book || defines(format, "prepare");
  text_ += std::string("const PREPARES = ") + (prepares ? "true" : "false") + ";\n";
  if (!prepares) text_ += "fn prepare(local: u32) {}\n";
  return has_book ? add(code_book) : *this;
}

Shader& Shader::tile(const formats::Format& format, const GemmTile& tile) {
  if (tile.int8) return bytes(format).with("gemm_tile_int8").add("gemm_squares").add("gemm_store");
  if (tile.matrix > 0) {
    const u32 subgroups = matrix_threads / tile.subgroup;
    constants(GemmMatrixConstants{.MATRIX = tile.matrix,
                                  .SUBGROUP = tile.subgroup,
                                  .SUBGROUPS = subgroups,
                                  .SUBGROUPS_T = 1u << (std::bit_width(subgroups) - 1) / 2});
    text_ = "diagnostic(off, chromium.subgroup_matrix_uniformity);\n" + text_;
    return enable("f16").enable("chromium_experimental_subgroup_matrix").blocks(format).with("gemm_tile_matrix");
  }
  if (tile.f16) return enable("f16").blocks(format).with("gemm_tile_f16").add("gemm_store");
  prepared(format, "code_book_pairs");
  if (!defines(format, "scales_of")) text_ += "fn load8_in_tile(unit: u32) -> Eight {\n  return load8(unit);\n}\n";
  return add("gemm_tile").add("gemm_squares").add("gemm_store");
}

Shader& Shader::cache(std::string_view prefix, std::string_view action, graph::KvType type, u32 width) {
  constexpr std::string_view names[] = {"f32", "f16", "q8", "q4"};
  std::string stored(names[u32(graph::kv_stored(type, width))]);
  constants(CacheConstants{.FOURS = width / 4, .BLOCK = graph::kv_block_of(width) / 4}, std::string(prefix) + "_");
  name_ += " " + std::string(prefix) + "_" + stored;
  if (stored == "f16" && action == "load" && width % 8 != 0) stored += "_odd";
  return add("kv_" + std::string(action) + "_" + stored, "CACHE", prefix);
}

gpu::PipelineDesc Shader::finish(std::vector<gpu::BindingType> bindings) {
  if (has_table_) bindings.push_back(read);
  return {std::move(name_), std::move(text_), std::move(bindings)};
}

}  // namespace pronk::kernels
