// A file of a server through the cache: what is there is read from the folder, the rest is downloaded and kept.
#pragma once

#include "source.h"

namespace pronk::cli {

// A complete entry needs no server: when it cannot be reached, that is said on stderr. Of an entry that is not complete
// the rest is asked for. An entry whose file has changed on the server starts anew. Trouble with the folder is said on
// stderr, and the load goes on without it.
Result<std::unique_ptr<ByteSource>> open_cached_source(const std::string& url, const SourceOptions& options);

}  // namespace pronk::cli
