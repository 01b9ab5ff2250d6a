// The WGSL files of src/kernels and src/formats, held in the binary without comments and indentation.
#pragma once

#include <span>
#include <string_view>

namespace pronk::kernels {

// The text of a file: "matvec" is src/kernels/matvec.wgsl, "formats/f16" is src/formats/f16.wgsl. An unknown name is a
// bug (CHECK). Never freed.
std::string_view wgsl_source(std::string_view name);

// All names, in ascending order, and the texts in the same order.
std::span<const std::string_view> wgsl_names();
std::span<const std::string_view> wgsl_sources();

}  // namespace pronk::kernels
