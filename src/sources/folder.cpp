#include "sources/folder.h"

#include <algorithm>
#include <vector>

#include "sources/huggingface.h"
#include "sources/mlc.h"

namespace pronk::sources {

std::span<const std::string_view> folder_file_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all{Mlc::file_names()[0], HuggingFace::file_names()[0]};
    for (const auto list :
         {Mlc::file_names().subspan(1), HuggingFace::file_names().subspan(1), tokenizer_file_names()}) {
      all.insert(all.end(), list.begin(), list.end());
    }
    return all;
  }();
  return names;
}

std::unique_ptr<Source> folder_source(std::string_view first_file) {
  if (first_file == Mlc::file_names()[0]) return std::make_unique<Mlc>();
  return std::make_unique<HuggingFace>();
}

}  // namespace pronk::sources
