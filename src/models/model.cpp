#include "models/model.h"

#include <algorithm>

#include "base/quote.h"
#include "models/build.h"

namespace pronk::models {

Result<Model> read_model(const files::Gguf& file) {
  PRONK_TRY(const std::string_view name, file.metadata.string_at("general.architecture"));
  const auto known = architectures();
  const auto found = std::find_if(known.begin(), known.end(), [&](const Architecture* a) { return a->name == name; });
  if (found == known.end()) {
    std::string list;
    for (const Architecture* a : known) list += (list.empty() ? "" : ", ") + std::string(a->name);
    return fail(ErrorCode::unsupported, "architecture " + quoted(name) + " is not supported (pronk runs " + list + ")");
  }
  Model model{std::string(name), {}, {}};
  Build build(file, model.architecture);
  if (build.ok()) (*found)->build(build);
  model.hyper = build.hyper;
  PRONK_TRY(model.graph, std::move(build).result());
  return model;
}

}  // namespace pronk::models
