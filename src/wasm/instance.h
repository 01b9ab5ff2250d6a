// What the files of src/wasm share: the one model and conversation of a module, as abi.h is about it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "gpu/device.h"
#include "graph/pooling.h"
#include "pronk/pronk.h"
#include "text/tokenizer.h"
#include "wasm/call.h"

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

// Arguments as abi.h has them.
LoadOptions load_options(u32 context, i32 keys, i32 values, double budget, i32 embeddings, u32 threads);
// The device that plans and loading use; null for the CPU.
Result<gpu::Device*> choose_device(i32 kind);

}  // namespace pronk::wasm
