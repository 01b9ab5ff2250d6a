// What sentence-transformers adds to a folder: how rows of hidden states become one vector.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/types.h"
#include "files/json.h"

namespace pronk::sources {

constexpr std::string_view modules_name = "modules.json", pooling_name = "1_Pooling/config.json";

// modules.json: the steps, of which pronk runs the model, a pooling and a norm. Any other is an error.
Status check_modules(files::JsonValue root);

// 1_Pooling/config.json: what GGUF has as pooling_type. A mode that it has not, or more than one, is an error.
Result<u32> read_pooling(files::JsonValue root);

}  // namespace pronk::sources
