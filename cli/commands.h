// Every command of the program; each is defined in cli/<name>.cpp.
#pragma once

#include "args.h"

namespace pronk::cli {

extern const Command inspect_command;
extern const Command tokenize_command;
extern const Command detokenize_command;
extern const Command logits_command;
extern const Command generate_command;
extern const Command embed_command;
extern const Command plan_command;
extern const Command cache_command;
extern const Command dequant_command;
extern const Command perplexity_command;
extern const Command quantize_command;
extern const Command convert_command;
extern const Command synth_command;
extern const Command test_ops_command;
extern const Command tune_command;
extern const Command kernels_command;
extern const Command bench_command;

}  // namespace pronk::cli
