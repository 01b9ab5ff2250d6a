// The headers of a model, and what follows from them.
#include "gpu/browser.h"
#include "wasm/abi.h"
#include "wasm/instance.h"

namespace pronk::wasm {

Instance instance;

namespace {

graph::KvType kv_type(i32 kind) {
  switch (KvKind(kind)) {
    case kv_f16:
      return graph::KvType::f16;
    case kv_f32:
      return graph::KvType::f32;
    case kv_q8:
      return graph::KvType::q8;
    case kv_q4:
      return graph::KvType::q4;
  }
  return graph::KvType::f16;
}

}  // namespace

LoadOptions load_options(u32 context, i32 keys, i32 values, double budget, i32 embeddings, u32 threads) {
  const bool largest = context == context_largest;
  return {.context = largest ? context_default : context,
          .largest_context = largest,
          .budget = budget > 0 && budget < 0x1p63 ? u64(budget) : 0,
          .kv = {kv_type(keys), kv_type(values)},
          .threads = threads,
          .embedding = embeddings != 0};
}

Result<gpu::Device*> choose_device(i32 kind) {
  if (kind == device_cpu) return nullptr;
  if (instance.engine && instance.engine->device()) return instance.engine->device();
  if (!instance.device) {
    PRONK_TRY(instance.device, gpu::make_browser_device());
  }
  return instance.device.get();
}

}  // namespace pronk::wasm

using namespace pronk;
using namespace pronk::wasm;

double pronk_header(u32 file, const u8* bytes, u32 length, double file_size) {
  const auto needed = instance.model->add_header(file, {bytes, length}, file_size < 0 ? ~u64{0} : u64(file_size));
  if (!needed) return failed(needed.error(), ErrorCode::bad_model);
  if (*needed > 0) return double(*needed);
  if (file + 1 < instance.model->file_count()) return 0;
  const Status status = instance.model->finish_headers();
  if (!status) return failed(status.error(), ErrorCode::bad_model);
  instance.headers_done = true;
  return 0;
}

i32 pronk_split_names(const u8* name, u32 length) {
  std::string names;
  for (const std::string& split : split_file_names(text_of(name, length))) names += (names.empty() ? "" : "\n") + split;
  give(std::move(names));
  return i32(instance.model->file_count());
}

void pronk_unload() {
  instance = {};
  give({});
}
