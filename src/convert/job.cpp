#include "convert/job.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "formats/pieces.h"
#include "text/gguf_keys.h"

namespace pronk::convert {

Job stored(const files::TensorInfo& tensor) {
  Job job{.name = tensor.name, .tensor = &tensor, .type = tensor.type};
  job.shape.assign(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
  if (tensor.added != 0) job.to = formats::find("F32");
  if (job.to) job.type = job.to->ggml_type;
  return job;
}

std::vector<Input> inputs_of(const files::TensorInfo& tensor) {
  std::vector<Input> inputs{{tensor.file, tensor.offset, tensor.bytes}};
  if (tensor.scales) inputs.push_back({tensor.scales->file, tensor.scales->offset, tensor.scales->bytes});
  return inputs;
}

Recoding recoding_of(const Job& job) {
  CHECK(!job.copied());
  return {formats::find(job.tensor->type), job.tensor->scales.has_value(), job.to, job.tensor->added};
}

u64 Recoding::unit_weights() const {
  return std::max(from->block_weights, to ? to->block_weights : 1);  // both are powers of two
}

u64 Recoding::input_bytes(u32 input, u64 weights) const {
  return weights / from->block_weights *
         (apart ? formats::find_pieces(from->ggml_type)->bytes[input] : from->block_bytes);
}

u64 Recoding::output_bytes(u64 weights) const {
  const formats::Format& format = to ? *to : *from;
  return weights / format.block_weights * format.block_bytes;
}

std::vector<u8> Recoding::make(u64 weights, std::span<const u8* const> inputs) const {
  const u64 count = weights / from->block_weights;
  std::vector<u8> blocks(count * from->block_bytes);
  if (apart) {
    const formats::Pieces& pieces = *formats::find_pieces(from->ggml_type);
    for (u32 i = 0; i < 2; ++i) pieces.place(i, inputs[i], count, blocks.data());
  } else {
    std::memcpy(blocks.data(), inputs[0], blocks.size());
  }
  if (!to) return blocks;
  std::vector<float> decoded(weights);
  from->decode(blocks.data(), count, decoded.data());
  for (float& weight : decoded) weight += added;
  blocks.resize(output_bytes(weights));
  to->encode(decoded.data(), weights / to->block_weights, blocks.data());
  return blocks;
}

Status write_metadata(const files::Metadata& metadata, const text::TokenizerFiles& tokenizer,
                      std::span<const std::string_view> replaced, files::GgufWriter& out) {
  for (u64 i = 0; i < metadata.size(); ++i) {
    const std::string_view key = metadata.key(i);
    const bool left_out =
        key.starts_with("split.") || key == "general.alignment" || std::ranges::find(replaced, key) != replaced.end();
    if (!left_out) out.add_entry(metadata.raw(i));
  }
  if (!tokenizer.tokenizer.empty()) return text::write_gguf_keys(tokenizer, out);
  if (!metadata.has("tokenizer.ggml.model")) out.add_string("tokenizer.ggml.model", "none");
  return {};
}

}  // namespace pronk::convert
