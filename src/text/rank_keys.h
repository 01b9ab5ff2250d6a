// A tokenizer.model of tiktoken's, as Llama 3 and AQLM.rs have it, as the keys of a GGUF file.
#pragma once

#include <string_view>

#include "base/result.h"
#include "files/gguf_writer.h"

namespace pronk::text {

// Lines of base64 and a rank: tokens 0 to n − 1, of bytes, each once, every single byte among them. Llama 3's 256
// special tokens follow. Errors name the line.
//
// A list of ranks has no merges: of all neighbours that join to a token the one of the lowest rank is merged first.
// GGUF needs pairs. What lies inside of a token is merged as if it stood alone, up to the two parts that make it; so
// these are its pair, and no other ever makes it.
Status write_rank_keys(std::string_view ranks, files::GgufWriter& out);

}  // namespace pronk::text
