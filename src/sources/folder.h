// Which source reads a folder.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sources/source.h"

namespace pronk::sources {

// The small files of all kinds of folders in the order in which they are added; the first two, of which a folder has
// one, say what it is.
std::span<const std::string_view> folder_file_names();
// Those that a folder whose first file has that name may have besides it.
std::vector<std::string_view> other_file_names(std::string_view first_file);
// Of a folder whose first file has that name.
std::unique_ptr<Source> folder_source(std::string_view first_file);

}  // namespace pronk::sources
