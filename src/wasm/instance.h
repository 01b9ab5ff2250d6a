// What the files of src/wasm share: the one model and conversation of a module, and how a call answers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/device.h"
#include "graph/pooling.h"
#include "pronk/pronk.h"
#include "text/tokenizer.h"

namespace pronk::wasm {

// An embedding under way.
struct Embedding {
  graph::Pooling pooling;
  bool normalized;
  std::vector<float> rows;
};

struct Instance {
  std::shared_ptr<Model> model = std::make_shared<Model>();
  bool headers_done = false;
  std::unique_ptr<gpu::Device> device;            // between planning and loading
  std::shared_ptr<const kernels::Tuning> tuning;  // of the device, for loading
  std::unique_ptr<Engine> engine;
  bool embeds = false;                           // instead of generating
  std::unique_ptr<text::StreamDecoder> decoder;  // of the current generation
  std::optional<Embedding> embedding;
  GenerateOptions adjust;  // what pronk_adjust() said for the next generation
  u32 prompt_tokens = 0, generated_tokens = 0;
};

extern Instance instance;

inline std::string_view text_of(const u8* bytes, u32 length) { return {reinterpret_cast<const char*>(bytes), length}; }

i32 give(std::string text);  // as the result
// otherwise: what an error that does not say its kind is, in the call that failed.
i32 failed(const Error& error, ErrorCode otherwise);
i32 misused(std::string message);

// Arguments as abi.h has them.
LoadOptions load_options(u32 context, i32 keys, i32 values, double budget, i32 embeddings, u32 threads);
// The device that plans and loading use; null for the CPU.
Result<gpu::Device*> choose_device(i32 kind);

}  // namespace pronk::wasm
