// What pronk-ops.wasm exports beside call.h: the operation tests of `pronk test-ops` on the host's device. It is for
// pronk's own tests and in no package.
#pragma once

#include "wasm/call.h"

// Takes the tests of an operation, of all without a name, and of these only those of a candidate of the tuner's, if one
// is named; quick: fewer. Returns how many there are.
PRONK_EXPORT(ops_choose)
i32 ops_choose(const u8* op, u32 op_length, const u8* candidate, u32 candidate_length, i32 quick);
// Starts one of them, by its number.
PRONK_EXPORT(ops_start) i32 ops_start(u32 test);
// To be called after each event of the device. 0: there is more to come. 1: the test is over, and the result is JSON
// {"op","format","shape","variant","error","tolerance","message" ("" where it is right)}.
PRONK_EXPORT(ops_pump) i32 ops_pump();
