// Folders of models, and those that only a converter reads as the GGUF file that it would write of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "source.h"
#include "sources/source.h"

namespace pronk::cli {

// A folder's small files by their names; the first says what kind it is.
using SmallFiles = std::vector<std::pair<std::string_view, std::string>>;
Result<SmallFiles> read_small_files(const std::string& folder, const SourceOptions& options);
// What is made of them, which knows the names of a folder of this machine.
Result<std::unique_ptr<sources::Source>> source_of(const std::string& folder, SmallFiles files);

// The whole file, put together while it is read. `source` has the small files alone.
Result<std::unique_ptr<ByteSource>> open_made(const std::string& folder, std::unique_ptr<sources::Source> source,
                                              const SourceOptions& options);

}  // namespace pronk::cli
