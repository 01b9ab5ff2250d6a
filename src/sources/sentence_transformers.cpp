#include "sources/sentence_transformers.h"

#include <algorithm>
#include <string>

#include "base/quote.h"
#include "graph/pooling.h"

namespace pronk::sources {

namespace {

using files::JsonValue;
using graph::Pooling;

struct Mode {
  std::string_view flag, name;  // as older and newer libraries have it
  Pooling pooling;              // none: pronk has no such mode
};

constexpr Mode modes[] = {
    {"pooling_mode_cls_token", "cls", Pooling::cls},
    {"pooling_mode_mean_tokens", "mean", Pooling::mean},
    {"pooling_mode_lasttoken", "lasttoken", Pooling::last},
    {"pooling_mode_max_tokens", "max", Pooling::none},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::none},
    {"pooling_mode_weightedmean_tokens", "weightedmean", Pooling::none},
};

constexpr std::string_view pooled = "sentence_embedding";  // the vector that modules pass on

Result<u32> type_of(const Mode& mode) {
  if (mode.pooling != Pooling::none) return u32(mode.pooling);
  return fail(ErrorCode::unsupported, "pooling by " + quoted(mode.name) + ": not supported");
}

}  // namespace

Result<u32> read_modules(JsonValue root) {
  PRONK_OK(root.array());
  u32 dense = 0;
  bool normalized = false;
  for (const JsonValue module : root) {
    PRONK_TRY(const std::string_view type, module.string_at("type"));
    const std::string_view name = type.substr(type.rfind('.') + 1);
    PRONK_TRY(const std::string_view path, module.string_or("path", ""));
    if (name == "Pooling" && path != pooling_name.substr(0, pooling_name.find('/')))
      return fail(ErrorCode::unsupported, "a pooling in " + quoted(path) + ": not supported");
    if (name == "Dense" && (normalized || dense == std::size(dense_folders) || path != dense_folders[dense]))
      return fail(ErrorCode::unsupported, "a module of type 'Dense' in " + quoted(path) + " there: not supported");
    if (name != "Transformer" && name != "Pooling" && name != "Dense" && name != "Normalize")
      return fail(ErrorCode::unsupported, "a module of type " + quoted(name) + ": not supported");
    dense += name == "Dense";
    normalized = normalized || name == "Normalize";
  }
  return dense;
}

// Without the first two keys the library has a bias and tanh.
Result<Dense> read_dense(JsonValue root) {
  const auto is = [&](std::string_view key, std::string_view missing, std::string_view wanted) {
    return root[key].string().value_or(missing).ends_with(wanted);
  };
  if (root["bias"].boolean().value_or(true) || !is("activation_function", "Tanh", ".Identity") ||
      !is("module_input_name", pooled, pooled) || !is("module_output_name", pooled, pooled))
    return fail(ErrorCode::unsupported,
                "not supported but without a bias, with 'Identity' and of 'sentence_embedding'");
  PRONK_TRY(const u64 inputs, root["in_features"].integer());
  PRONK_TRY(const u64 outputs, root["out_features"].integer());
  if (std::max(inputs, outputs) > ~u32{0}) return fail(ErrorCode::bad_model, "its widths are out of range");
  return Dense{u32(inputs), u32(outputs)};
}

std::span<const std::string_view> named_configs(std::string_view modules) {
  u32 named = 0;
  while (named < std::size(dense_folders) && modules.contains(dense_folders[named])) ++named;
  return std::span(dense_configs).first(named);
}

Result<u32> read_pooling(JsonValue root) {
  PRONK_OK(root.object());
  if (const JsonValue named = root["pooling_mode"]; named.has_value()) {
    PRONK_TRY(const std::string_view name, named.string());
    const auto mode = std::ranges::find(modes, name, &Mode::name);
    return mode == std::end(modes) ? type_of({.flag = {}, .name = name, .pooling = Pooling::none}) : type_of(*mode);
  }
  const Mode* found = nullptr;
  for (const Mode& mode : modes) {
    PRONK_TRY(const bool set, root.boolean_or(mode.flag, mode.pooling == Pooling::mean));
    if (set && found) return fail(ErrorCode::unsupported, "pooling in more than one way: not supported");
    if (set) found = &mode;
  }
  return found ? type_of(*found) : fail(ErrorCode::bad_model, "names no pooling");
}

}  // namespace pronk::sources
