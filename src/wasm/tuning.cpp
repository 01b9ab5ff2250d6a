#include "wasm/tuning.h"

#include "tune/tuning_file.h"
#include "wasm/instance.h"

using namespace pronk;
using namespace pronk::wasm;

i32 pronk_adapter() {
  const auto device = choose_device(device_gpu);
  if (!device) return failed(device.error(), ErrorCode::no_device);
  return give(tune::adapter_name((*device)->info()));
}

i32 pronk_set_tuning(const u8* text, u32 length) {
  const auto device = choose_device(device_gpu);
  if (!device) return failed(device.error(), ErrorCode::no_device);
  auto tuning = tune::parse_tuning({reinterpret_cast<const char*>(text), length}, (*device)->info());
  if (!tuning) return failed(tuning.error(), ErrorCode::bad_argument);
  instance.tuning = std::make_shared<const kernels::Tuning>(std::move(*tuning));
  return 0;
}
