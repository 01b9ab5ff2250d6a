// Puts a WGSL module together and names it: the label holds all that the text depends on.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "formats/format.h"
#include "gpu/device.h"
#include "graph/graph.h"
#include "graph/kv_type.h"
#include "kernels/candidates.h"
#include "kernels/params.h"

namespace pronk::kernels {

constexpr gpu::BindingType uniform = gpu::BindingType::uniform;
constexpr gpu::BindingType read = gpu::BindingType::storage_read;
constexpr gpu::BindingType write = gpu::BindingType::storage_read_write;

// Whether a format's fragment gives its weights as bytes.
bool has_bytes(const formats::Format& format);

class Shader {
 public:
  explicit Shader(std::string_view name);

  template <class Params>
  Shader& params(std::string_view name) {
    text_ += "struct " + std::string(name) + " {\n";
    Params{}.each_field(
        [&](const char* field, auto value) { add_field(field, std::is_same_v<decltype(value), float>); });
    text_ += "}\n";
    return *this;
  }
  template <class Constants>
  Shader& constants(const Constants& constants, std::string_view prefix = "") {
    constants.each_field([&](const char* field, auto value) {
      add_constant(std::string(prefix) + field, std::is_same_v<decltype(value), bool>, u32(value));
    });
    return *this;
  }
  Shader& enable(std::string_view extension);
  Shader& add(std::string_view source);
  // The same where `placeholder` stands for `text`.
  Shader& add(std::string_view source, std::string_view placeholder, std::string_view text);
  // A part that the kernel is instantiated over; named in the label.
  Shader& with(std::string_view source);
  // apply(a, b), the function; named in the label unless that says it already.
  Shader& function(graph::Function function, bool named = true);
  // A weight format's fragment; its table is bound behind everything else. keeps_books: see candidates.h;
  // odd_units: see MatMulKind. halves: weights may become floats by way of halves, which costs a CPU many steps, and a
  // code book that has two in a word costs memory.
  Shader& format(const formats::Format& format, u32 table_binding, bool keeps_books = false, bool odd_units = true,
                 bool halves = true);
  // Products of 32 of the format's weights at a time; int8: with activations of 8 bits, of formats that have bytes.
  Shader& products(const formats::Format& format, bool int8 = false);
  // The format's weights alone, 32 at a time.
  Shader& blocks(const formats::Format& format);
  // The tiles of a GEMM.
  Shader& tile(const formats::Format& format, const GemmTile& tile);
  // How a cache of heads of `width` floats is read ("load") or written ("store"): what that defines begins with prefix.
  Shader& cache(std::string_view prefix, std::string_view action, graph::KvType type, u32 width);
  gpu::PipelineDesc finish(std::vector<gpu::BindingType> bindings);

 private:
  // Of a format that has bytes: them, and activations as such.
  Shader& bytes(const formats::Format& format);
  // weight_scale(row): what a row's products are still to be multiplied by.
  Shader& scaled(const formats::Format& format);
  // prepare(local): the code book, if the format has one.
  Shader& prepared(const formats::Format& format, std::string_view code_book);
  void add_field(std::string_view name, bool is_float);
  void add_constant(const std::string& name, bool flag, u32 value);

  std::string name_, text_;
  bool has_table_ = false, halves_ = true;
};

}  // namespace pronk::kernels
