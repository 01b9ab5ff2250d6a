#include "recipes.h"

#include <algorithm>
#include <cstdlib>

#include "base/check.h"

namespace pronk::cli {

namespace {

constexpr Recipe recipes[] = {
    {"F16", "F16", "F16", 1},         {"BF16", "BF16", "BF16", 32},   {"Q8_0", "Q8_0", "Q8_0", 7},
    {"Q4_0", "Q4_0", "Q6_K", 2},      {"Q4_1", "Q4_1", "Q6_K", 3},    {"Q5_0", "Q5_0", "Q6_K", 8},
    {"Q5_1", "Q5_1", "Q6_K", 9},      {"Q4_K", "Q4_K", "Q6_K", 14},   {"Q5_K", "Q5_K", "Q6_K", 16},
    {"Q6_K", "Q6_K", "Q6_K", 18},     {"Q4_K_M", "Q4_K", "Q6_K", 15}, {"Q5_K_M", "Q5_K", "Q6_K", 17},
    {"IQ4_NL", "IQ4_NL", "Q6_K", 25}, {"MXFP4", "MXFP4", "Q8_0", 38},
};

// The layer of "blk.N.…", or -1.
int layer_of(std::string_view name) {
  if (!name.starts_with("blk.")) return -1;
  return std::atoi(std::string(name.substr(4, name.find('.', 4) - 4)).c_str());
}

// First and last eighth of the layers, and every third between.
bool in_sensitive_layer(int layer, int layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

bool wants_more(std::string_view name, const Recipe& recipe, const RecipeModel& model) {
  if (name == "output.weight" || (model.tied && name == "token_embd.weight")) return true;
  const bool sensitive = name.ends_with(".attn_v.weight") || name.ends_with(".ffn_down.weight");
  return recipe.name.ends_with("_M") && sensitive && in_sensitive_layer(layer_of(name), model.layers);
}

// What a row falls back to when it is not a whole number of blocks.
const formats::Format* fitting(const formats::Format* format, u64 row) {
  for (const std::string_view next : {"Q8_0", "F16"}) {
    if (row % format->block_weights == 0) return format;
    format = formats::find(next);
  }
  return format;
}

}  // namespace

const Recipe* find_recipe(std::string_view name) {
  const auto found = std::ranges::find(recipes, name, &Recipe::name);
  return found == std::end(recipes) ? nullptr : found;
}

std::string recipe_names() {
  std::string names;
  for (const Recipe& recipe : recipes) names += (names.empty() ? "" : "|") + std::string(recipe.name);
  return names;
}

RecipeModel recipe_model(const files::Gguf& model) {
  RecipeModel about{.tied = model.find("output.weight") == nullptr && model.find("output.codes") == nullptr};
  for (const auto& tensor : model.tensors) about.layers = std::max(about.layers, layer_of(tensor.name) + 1);
  return about;
}

const formats::Format& recipe_format(const Recipe& recipe, const RecipeModel& model, std::string_view tensor, u64 row) {
  const formats::Format* format = formats::find(wants_more(tensor, recipe, model) ? recipe.more : recipe.base);
  CHECK(format && format->encode);
  return *fitting(format, row);
}

}  // namespace pronk::cli
