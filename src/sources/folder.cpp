#include "sources/folder.h"

#include <algorithm>

#include "sources/aqlm_rs.h"
#include "sources/huggingface.h"
#include "sources/mlc.h"
#include "sources/sentence_transformers.h"

namespace pronk::sources {

// A config.json may be beside the files of AQLM.rs.
std::span<const std::string_view> first_file_names() {
  static const std::string_view names[] = {Mlc::file_names()[0], AqlmRs::file_names()[0], HuggingFace::file_names()[0]};
  return names;
}

bool is_loadable(std::string_view first_file, const std::string& contents) {
  if (first_file == HuggingFace::file_names()[0]) return !HuggingFace::is_assembled(contents);
  return first_file != AqlmRs::file_names()[0];
}

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

std::vector<std::string_view> other_file_names(std::string_view first_file) {
  if (first_file == AqlmRs::file_names()[0]) return {AqlmRs::file_names().begin() + 1, AqlmRs::file_names().end()};
  const auto own = first_file == Mlc::file_names()[0] ? Mlc::file_names() : HuggingFace::file_names();
  std::vector<std::string_view> names(own.begin() + 1, own.end());
  const auto more = tokenizer_file_names();
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

std::span<const std::string_view> named_files(std::string_view file, std::string_view contents) {
  return file == modules_name ? named_configs(contents) : std::span<const std::string_view>();
}

std::unique_ptr<Source> folder_source(std::string_view first_file) {
  if (first_file == Mlc::file_names()[0]) return std::make_unique<Mlc>();
  if (first_file == AqlmRs::file_names()[0]) return std::make_unique<AqlmRs>();
  return std::make_unique<HuggingFace>();
}

}  // namespace pronk::sources
