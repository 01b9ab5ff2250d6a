// The real models whose shapes `pronk synth` can take: what is in their files, but for the weights. Dimensions are
// those of the models' published configurations.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "files/gguf_writer.h"
#include "formats/format.h"
#include "synth_vocabulary.h"

namespace pronk::cli {

struct SynthPreset {
  std::string_view name, title;
  std::string_view architecture;
  u32 layers, width, ff, heads, kv_heads, head_size, context;
  float rope_base, norm_epsilon;
  bool tied;  // the output matrix is the embedding
  bool qkv_bias;
  bool qk_norm;
  float rope_scale;  // Llama 3's factor; 0: no rope_freqs tensor
  VocabularyShape vocabulary;
};

std::span<const SynthPreset> synth_presets();

struct SynthTensor {
  std::string name;
  std::vector<u64> shape;
  float mean = 0;
  float deviation = 0;
  const formats::Format* format = nullptr;
  std::vector<float> values = {};  // when not empty: the tensor itself, F32
};

// Matrices in `format`, whose blocks must divide the preset's width; vectors in F32. `preset` and `format` must outlive
// it.
class SynthModel {
 public:
  SynthModel(const SynthPreset& preset, const formats::Format& format);

  const std::vector<SynthTensor>& tensors() const { return tensors_; }
  const files::GgufWriter& writer() const { return writer_; }  // knows metadata and tensors

 private:
  void add_metadata();
  void add_matrix(const std::string& name, u64 columns, u64 rows);
  void add_vector(const std::string& name, u64 size, float mean, float deviation);
  void list_tensors();
  void list_layer(const std::string& blk);
  std::vector<float> rope_factors() const;

  const SynthPreset& preset_;
  const formats::Format& format_;
  files::GgufWriter writer_;
  std::vector<SynthTensor> tensors_;
};

}  // namespace pronk::cli
