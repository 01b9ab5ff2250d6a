// A file of a server through the cache: what is there is read from the folder, the rest is downloaded and kept.
#pragma once

#include "source.h"

namespace pronk::cli {

// A complete entry is used even if the server cannot be reached (a line on stderr says so); an incomplete one is
// completed from the server; one whose file has changed there is begun anew. If the folder cannot be used, a line on
// stderr says why, and the load goes on without it.
Result<std::unique_ptr<ByteSource>> open_cached_source(const std::string& url, const SourceOptions& options);

}  // namespace pronk::cli
