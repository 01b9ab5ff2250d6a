// A tokenizer.json as the keys of a GGUF file.
#pragma once

#include "base/result.h"
#include "files/gguf_writer.h"
#include "text/tokenizer.h"

namespace pronk::text {

// Byte-level BPE with a pre-tokenizer that GGUF has a name for, and BPE over characters with byte tokens. What else
// there is cannot be said by such keys, which is an error; so it is when the two give different ids on texts made for
// it. Unicode normalization is lost: GGUF has no key for it.
Status write_gguf_keys(const TokenizerFiles& files, files::GgufWriter& out);

}  // namespace pronk::text
