// Which weight format each tensor of a model gets that is to be written in a given type. Which tensors of a mix get
// more bits follows the field's habit (llama.cpp's "_M" files), so that sizes and quality compare.
#pragma once

#include <string>
#include <string_view>

#include "files/gguf.h"
#include "formats/format.h"

namespace pronk::cli {

// A plain format, or a mix: most matrices in `base`, sensitive ones in `more`.
struct Recipe {
  std::string_view name, base, more;
  u32 file_type;  // general.file_type, as llama.cpp numbers them
};

const Recipe* find_recipe(std::string_view name);  // null: there is none
std::string recipe_names();

// What a recipe has to know of a model.
struct RecipeModel {
  bool tied = false;
  int layers = 0;
};
RecipeModel recipe_model(const files::Gguf& model);

// Of a matrix: its name as a weight, and its row. What a row falls back to when it is not a whole number of blocks is
// Q8_0, then F16.
const formats::Format& recipe_format(const Recipe& recipe, const RecipeModel& model, std::string_view tensor, u64 row);

}  // namespace pronk::cli
