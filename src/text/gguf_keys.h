// A tokenizer.json as the keys of a GGUF file.
#pragma once

#include "base/result.h"
#include "files/gguf_writer.h"
#include "text/tokenizer.h"

namespace pronk::text {

// Byte-level BPE with a pre-tokenizer that GGUF has a name for, and BPE over characters with byte tokens, are keys that
// any program reads (but for pronk's own that says NFC) when these give the same ids on texts made for it. Any other
// is the file as it is in a key of pronk's own (text/host.h).
Status write_gguf_keys(const TokenizerFiles& files, files::GgufWriter& out);

}  // namespace pronk::text
