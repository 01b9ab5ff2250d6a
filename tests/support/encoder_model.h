// A small BERT as a GGUF file in memory, with a tokenizer and seeded random weights.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "files/gguf_writer.h"
#include "formats/format.h"
#include "graph/pooling.h"
#include "support/gguf.h"
#include "text/fixtures.h"

namespace pronk::test {

struct EncoderSpec {
  graph::Pooling pooling = graph::Pooling::mean;
  u32 layers = 2, width = 32, heads = 4, feed_forward = 48, positions = 40, vocab = 300;
  u32 scores = 0;  // of a reranker
};

inline std::vector<u8> encoder_file(const EncoderSpec& spec) {
  files::GgufWriter writer = text::sentencepiece_fixture().writer();
  writer.add_string("general.architecture", "bert");
  writer.add_u32("bert.block_count", spec.layers);
  writer.add_u32("bert.embedding_length", spec.width);
  writer.add_u32("bert.feed_forward_length", spec.feed_forward);
  writer.add_u32("bert.context_length", spec.positions);
  writer.add_u32("bert.attention.head_count", spec.heads);
  writer.add_f32("bert.attention.layer_norm_epsilon", 1e-6f);
  writer.add_u32("bert.pooling_type", u32(spec.pooling));

  std::vector<std::vector<float>> weights;
  std::mt19937 random(1);
  const auto tensor = [&](const std::string& name, u32 cols, u32 rows, float mean, float deviation) {
    const u64 shape[] = {cols, rows};
    writer.add_tensor(name, formats::find("F32")->ggml_type, std::span(shape, rows == 1 ? 1 : 2));
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float>& values = weights.emplace_back(u64(cols) * rows);
    for (float& value : values) value = normal(random);
  };
  const auto linear = [&](const std::string& stem, u32 cols, u32 rows) {
    tensor(stem + ".weight", cols, rows, 0, 1 / std::sqrt(float(cols)));
    tensor(stem + ".bias", rows, 1, 0, 0.25f);
  };
  const auto norm = [&](const std::string& stem) {
    tensor(stem + ".weight", spec.width, 1, 1, 0.25f);
    tensor(stem + ".bias", spec.width, 1, 0, 0.25f);
  };
  tensor("token_embd.weight", spec.width, spec.vocab, 0, 1);
  tensor("token_types.weight", spec.width, 2, 0, 1);
  tensor("position_embd.weight", spec.width, spec.positions, 0, 1);
  norm("token_embd_norm");
  for (u32 i = 0; i < spec.layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    for (const char* stem : {"attn_q", "attn_k", "attn_v", "attn_output"}) linear(blk + stem, spec.width, spec.width);
    norm(blk + "attn_output_norm");
    linear(blk + "ffn_up", spec.width, spec.feed_forward);
    linear(blk + "ffn_down", spec.feed_forward, spec.width);
    norm(blk + "layer_output_norm");
  }
  if (spec.scores > 0) {
    linear("cls", spec.width, spec.width);
    linear("cls.output", spec.width, spec.scores);
  }
  return write_gguf(writer, [&](u64 i) {
    const u8* bytes = reinterpret_cast<const u8*>(weights[i].data());
    return std::vector<u8>(bytes, bytes + weights[i].size() * sizeof(float));
  });
}

}  // namespace pronk::test
