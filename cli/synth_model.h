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

class SynthModel;

// What the files of an architecture hold beyond Llama's metadata, or in place of Llama's layers.
struct SynthFamily {
  void (*metadata)(SynthModel& model);
  void (*layer)(SynthModel& model, const std::string& blk, u32 layer) = nullptr;  // null: Llama's
  bool (*attends)(u32 layer) = nullptr;                                           // null: every layer does
  std::string_view last_norm = {};                                                // empty: output_norm
};

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
  const SynthFamily* family = nullptr;
  u32 experts = 0, experts_used = 0;  // of each layer's feed-forward network
};

std::span<const SynthPreset> synth_presets();

struct SynthTensor {
  std::string name;
  std::vector<u64> shape;
  float mean = 0;
  float deviation = 0;
  const formats::Format* format = nullptr;
  std::vector<float> values = {};  // when not empty: the tensor itself, F32
  u32 codes_type = 0;              // when not 0: any bytes of that GGML type, and no format
};

// Code books of eight weights in place of a format (formats/additive.h).
struct SynthBooks {
  std::string_view name;
  u32 count, bits;  // books, and of a code
};
const SynthBooks* find_synth_books(std::string_view name);  // null: there are none of that name

// Matrices in `format`, whose blocks must divide their columns; vectors in F32. With books those of layers are
// additive, as published models are. `preset` and `format` must outlive it.
class SynthModel {
 public:
  SynthModel(const SynthPreset& preset, const formats::Format& format, const SynthBooks* books = nullptr);

  const std::vector<SynthTensor>& tensors() const { return tensors_; }
  const SynthTensor* misfit() const;  // one whose rows are no whole blocks of its format; null: there is none
  const files::GgufWriter& writer() const { return writer_; }  // knows metadata and, without a misfit, tensors

  // ---- For families

  const SynthPreset& preset() const { return preset_; }
  files::GgufWriter& keys() { return writer_; }
  std::string key(std::string_view name) const { return std::string(preset_.architecture) + "." + std::string(name); }
  void add_matrix(const std::string& name, u64 columns, u64 rows);
  void add_matrices(const std::string& name, u64 columns, u64 rows, u64 count);  // stacked
  void add_norm(const std::string& name, u64 size) { add_vector(name + ".weight", size, 1, 0.05f); }
  void add_vector(const std::string& name, u64 size, float mean, float deviation);
  void add_f32_matrix(const std::string& name, u64 columns, u64 rows, float mean, float deviation);
  void add_attention(const std::string& blk);
  void add_feed_forward(const std::string& blk);

 private:
  void add_metadata();
  void add_kv_heads();
  void list_tensors();
  void list_layer(const std::string& blk);
  void add_additive(const std::string& name, u64 columns, u64 rows);
  std::vector<float> rope_factors() const;

  const SynthPreset& preset_;
  const formats::Format& format_;
  const SynthBooks* books_;
  files::GgufWriter writer_;
  std::vector<SynthTensor> tensors_;
};

}  // namespace pronk::cli
