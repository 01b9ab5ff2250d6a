// What every module does: memory, results, and the headers of a model.
#include <cstdlib>

#include "gpu/browser.h"
#include "wasm/abi.h"
#include "wasm/instance.h"

namespace pronk::wasm {

Instance instance;

namespace {

std::string result;
ErrorCode error_code = ErrorCode::internal;  // of the last failure

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

i32 give(std::string text) {
  result = std::move(text);
  return 0;
}

i32 failed(const Error& error, ErrorCode otherwise) {
  result = error.message;
  error_code = error.code == ErrorCode::unspecified ? otherwise : error.code;
  return -1;
}

i32 misused(std::string message) { return failed({std::move(message)}, ErrorCode::internal); }

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

u8* pronk_alloc(u32 bytes) {
  u8* memory = static_cast<u8*>(std::malloc(bytes > 0 ? bytes : 1));
  if (!memory) __builtin_trap();
  return memory;
}
u8* pronk_realloc(u8* memory, u32 bytes) {
  auto* moved = static_cast<u8*>(std::realloc(memory, bytes > 0 ? bytes : 1));
  if (!moved) __builtin_trap();
  return moved;
}
void pronk_free(u8* memory) { std::free(memory); }
const u8* pronk_result_ptr() { return reinterpret_cast<const u8*>(result.data()); }
u32 pronk_result_len() { return u32(result.size()); }
i32 pronk_error_code() { return i32(error_code); }

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
