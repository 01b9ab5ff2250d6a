// What all sources that follow Hugging Face's names share: their tensors and configuration in GGUF's words.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "files/gguf.h"
#include "sources/huggingface_config.h"

namespace pronk::sources {

// A file in the same folder and nothing else, whatever makes a path or a URL of it.
bool plain_file_name(std::string_view name);

// tensors: by their names in the folder; of type files::no_ggml_type when pronk cannot run them, which is an error for
// those that the model needs. config_name leads the errors of the configuration.
Result<files::Gguf> translate(const Config& config, std::string_view config_name,
                              const std::vector<files::TensorInfo>& tensors);

}  // namespace pronk::sources
