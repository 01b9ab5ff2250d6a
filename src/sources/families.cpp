#include "sources/families.h"

#include <algorithm>

namespace pronk::sources {

namespace {

constexpr const std::span<const Family>* groups[] = {&llama_families,    &layer_norm_families, &gemma_families,
                                                     &encoder_families,  &expert_families,     &older_families,
                                                     &recurrent_families};

}  // namespace

const Family* find_family(std::string_view model_type) {
  for (const std::span<const Family>* group : groups) {
    const auto found =
        std::ranges::find_if(*group, [&](const Family& family) { return has_word(family.model_types, model_type); });
    if (found != group->end()) return &*found;
  }
  return nullptr;
}

std::string_view take_word(std::string_view& words) {
  constexpr std::string_view space = " \n";
  words.remove_prefix(std::min(words.find_first_not_of(space), words.size()));
  const std::string_view word = words.substr(0, words.find_first_of(space));
  words.remove_prefix(word.size());
  return word;
}

std::string_view find_pair(Pairs pairs, std::string_view first) {
  while (true) {
    const std::string_view from = take_word(pairs), to = take_word(pairs);
    if (from.empty() || from == first) return to;
  }
}

bool has_word(std::string_view words, std::string_view word) {
  for (std::string_view each = take_word(words); !each.empty(); each = take_word(words)) {
    if (each == word) return true;
  }
  return false;
}

}  // namespace pronk::sources
