// What sentence-transformers adds to a folder: how rows of hidden states become one vector.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "base/types.h"
#include "files/json.h"

namespace pronk::sources {

constexpr std::string_view modules_name = "modules.json", pooling_name = "1_Pooling/config.json";

// Dense modules are linear maps of that vector. Their folders in their order, and files in them.
constexpr std::string_view dense_folders[] = {"2_Dense", "3_Dense"};
constexpr std::string_view dense_configs[] = {"2_Dense/config.json", "3_Dense/config.json"};
constexpr std::string_view dense_weights[] = {"2_Dense/model.safetensors", "3_Dense/model.safetensors"};
constexpr std::string_view dense_tensors[] = {"2_Dense/linear.weight", "3_Dense/linear.weight"};

struct Dense {
  u32 inputs = 0, outputs = 0;  // 0: not known
};

// modules.json: the steps, of which pronk runs the model, a pooling, Dense modules and a norm. Any other is an error.
// Returns how many of Dense there are.
Result<u32> read_modules(files::JsonValue root);

// config.json of a Dense module. A bias or an activation is an error.
Result<Dense> read_dense(files::JsonValue root);

// The same of those that a modules.json names.
std::span<const std::string_view> named_configs(std::string_view modules);

// 1_Pooling/config.json: what GGUF has as pooling_type. A mode that it has not, or more than one, is an error.
Result<u32> read_pooling(files::JsonValue root);

}  // namespace pronk::sources
