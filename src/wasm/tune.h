// What pronk-tune.wasm exports beside tuning.h and of abi.h the first part: it measures a model's kernels on the host's
// device.
#pragma once

#include "wasm/tuning.h"

// Starts to measure the kernels that pronk_load() with these arguments would use, for `seconds` at most. The headers
// have been read. missing: only those that pronk_set_tuning() has brought no choices for.
PRONK_EXPORT(pronk_tune)
i32 pronk_tune(u32 context, i32 keys, i32 values, double budget, i32 embeddings, double seconds, i32 missing);
// To be called after each event of the device. 0: there is more to come. 1: it is over, and the result is JSON {"text"
// (all choices, for pronk_set_tuning()),"problems","choices" (a line for each that was measured: key, default and
// fastest candidate and their microseconds, with tabs between)}.
PRONK_EXPORT(pronk_tune_pump) i32 pronk_tune_pump();
// Ends it before its time; 1, and the result is that of pronk_tune_pump() at its end.
PRONK_EXPORT(pronk_tune_end) i32 pronk_tune_end();
