// What the modules with a GPU back end export beside abi.h: what was measured of the host's device (src/tune).
#pragma once

#include "wasm/abi.h"

// The adapter and its driver as one line (result): for which measured choices hold.
PRONK_EXPORT(pronk_adapter) i32 pronk_adapter();
// Choices that were measured before, as text: pronk_load() takes them, and pronk_tune_pump() adds to them. What is
// damaged, or was measured of another adapter or other kernels, is an error, and nothing is taken of it.
PRONK_EXPORT(pronk_set_tuning) i32 pronk_set_tuning(const u8* text, u32 length);
