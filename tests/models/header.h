// Headers of small models with any tensors, for tests of what is built from them.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <optional>
#include <string>

#include "files/gguf.h"
#include "files/gguf_writer.h"
#include "formats/format.h"
#include "models/build.h"

namespace pronk::test {

struct HeaderSizes {
  u32 layers = 1, width = 16, vocab = 8;
  u32 heads = 2, kv_heads = 1, feed_forward = 32;
};

class Header {
 public:
  explicit Header(std::string architecture, const HeaderSizes& sizes = {})
      : sizes(sizes), name_(std::move(architecture)) {
    writer.add_string("general.architecture", name_);
    key("block_count", sizes.layers);
    key("embedding_length", sizes.width);
    key("feed_forward_length", sizes.feed_forward);
    key("attention.head_count", sizes.heads);
    key("attention.head_count_kv", sizes.kv_heads);
    writer.add_f32(name_ + ".attention.layer_norm_rms_epsilon", 1e-6f);
    writer.add_f32(name_ + ".attention.layer_norm_epsilon", 1e-5f);
    tensor("token_embd.weight", {sizes.width, sizes.vocab});
    tensor("output_norm.weight", {sizes.width});
  }

  void key(const std::string& key, u32 value) { writer.add_u32(name_ + "." + key, value); }
  void tensor(std::string_view name, std::initializer_list<u64> shape) {
    writer.add_tensor(name, formats::find("F32")->ggml_type, std::span(shape.begin(), shape.size()));
  }
  void layer_tensor(u32 layer, std::string_view name, std::initializer_list<u64> shape) {
    tensor("blk." + std::to_string(layer) + "." + std::string(name), shape);
  }
  // attn_q, attn_k, attn_v, attn_output, ffn_up and ffn_down of each layer, and ffn_gate.
  void matrices(bool gate) {
    const u32 w = sizes.width, kv = w / sizes.heads * sizes.kv_heads, f = sizes.feed_forward;
    for (u32 i = 0; i < sizes.layers; ++i) {
      layer_tensor(i, "attn_q.weight", {w, w});
      layer_tensor(i, "attn_k.weight", {w, kv});
      layer_tensor(i, "attn_v.weight", {w, kv});
      layer_tensor(i, "attn_output.weight", {w, w});
      layer_tensor(i, "ffn_up.weight", {w, f});
      layer_tensor(i, "ffn_down.weight", {f, w});
      if (gate) layer_tensor(i, "ffn_gate.weight", {w, f});
    }
  }
  // As wide as the model, in each layer.
  void norms(std::initializer_list<std::string_view> names) {
    for (u32 i = 0; i < sizes.layers; ++i)
      for (const std::string_view name : names) layer_tensor(i, std::string(name) + ".weight", {sizes.width});
  }

  files::Gguf parse() const {
    const std::vector<u8> bytes = writer.header();
    auto parsed = files::parse_gguf(bytes, std::nullopt);
    EXPECT_TRUE(parsed && parsed->gguf);
    return std::move(*parsed->gguf);
  }
  graph::Graph build() const {
    auto model = models::read_model(parse());
    EXPECT_TRUE(model.has_value()) << model.error().message;
    return model ? std::move(model->graph) : graph::Graph{};
  }

  files::GgufWriter writer;
  HeaderSizes sizes;

 private:
  std::string name_;
};

}  // namespace pronk::test
