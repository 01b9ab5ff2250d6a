// What `pronk synth` writes for architectures that are not made like Llama.
#pragma once

#include "synth_model.h"

namespace pronk::cli {

extern const SynthFamily gemma3_family, qwen35_family, lfm2_family, granitehybrid_family, mistral3_family,
    gpt_oss_family, qwen3moe_family;

}  // namespace pronk::cli
