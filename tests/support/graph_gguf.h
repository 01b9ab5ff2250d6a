// A model file in memory, with the graph and weights that it gives.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "files/gguf.h"
#include "models/model.h"
#include "support/files.h"

namespace pronk::test {

struct LoadedModel {
  std::vector<u8> file;
  models::Model model;

  // The first byte of each weight of the graph, in the file.
  std::vector<const u8*> weights() const {
    const auto header = files::parse_gguf(file, file.size());
    std::vector<const u8*> result;
    for (const graph::Weight& weight : model.graph.weights) {
      const u64 row_bytes = u64(weight.cols) / weight.format->block_weights * weight.format->block_bytes;
      result.push_back(file.data() + header->gguf->find(weight.name)->offset + weight.first_row * row_bytes);
    }
    return result;
  }
};

inline Result<LoadedModel> load_model(const std::string& path) {
  auto file = read_file(path);
  if (!file) return fail("cannot read " + path);
  PRONK_TRY(auto prefix, files::parse_gguf(*file, file->size()));
  if (!prefix.gguf) return fail("incomplete header in " + path);
  PRONK_TRY(auto model, models::read_model(*prefix.gguf));
  return LoadedModel{std::move(*file), std::move(model)};
}

}  // namespace pronk::test
