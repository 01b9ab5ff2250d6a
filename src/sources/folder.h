// Which source reads a folder.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sources/source.h"

namespace pronk::sources {

// The first files of all kinds of folders in the order in which they are looked for: what is there of them says what
// kind a folder is.
std::span<const std::string_view> first_file_names();
// Whether the engine loads the folder whose first file is that, or a converter has to make a GGUF file of it.
bool is_loadable(std::string_view first_file, const std::string& contents);
// The small files of those that it loads, in the order in which they are added.
std::span<const std::string_view> folder_file_names();
// Those that a folder whose first file has that name may have besides it.
std::vector<std::string_view> other_file_names(std::string_view first_file);
// Those besides that a file with those contents names.
std::span<const std::string_view> named_files(std::string_view file, std::string_view contents);
// Of a folder whose first file has that name.
std::unique_ptr<Source> folder_source(std::string_view first_file);

}  // namespace pronk::sources
