// pronk inspect: the metadata and tensors of a GGUF file, and their totals, as text or JSON; and whether pronk runs it.
#include <cinttypes>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/units.h"
#include "commands.h"
#include "file.h"
#include "formats/format.h"
#include "models/model.h"
#include "text/tokenizer.h"

namespace pronk::cli {

namespace {

using files::Array;
using files::Metadata;
using files::ValueType;
using Json = nlohmann::ordered_json;

constexpr u64 longest_json_array = 16;
constexpr u64 text_array_head = 8;
constexpr std::size_t text_string_head = 200;

struct Totals {
  u64 parameters = 0;
  u64 bytes = 0;
  std::map<std::string, u64> by_type;  // bytes
};

Totals add_up(const files::Gguf& gguf) {
  Totals totals;
  for (const files::TensorInfo& tensor : gguf.tensors) {
    totals.parameters += tensor.weights();
    totals.bytes += tensor.bytes;
    totals.by_type[std::string(formats::ggml_type_name(tensor.type))] += tensor.bytes;
  }
  return totals;
}

Json array_json(const Array& array);

Json element_json(const Array& array, u64 i) {
  if (array.type() == ValueType::string) return std::string(array.string(i));
  if (array.type() == ValueType::array) return array_json(array.array(i));
  if (array.type() == ValueType::boolean) return array.integer(i) != 0;
  if (is_integer_type(array.type())) return array.integer(i);
  return array.number(i);
}

Json array_json(const Array& array) {
  const bool whole = array.count() <= longest_json_array;
  Json elements = Json::array();
  for (u64 i = 0; i < std::min(array.count(), longest_json_array); ++i) elements.push_back(element_json(array, i));
  if (whole) return elements;
  return {{"type", value_type_name(array.type())}, {"count", array.count()}, {"head", std::move(elements)}};
}

Json value_json(const Metadata& metadata, u64 i) {
  const std::string_view key = metadata.key(i);
  switch (metadata.type(i)) {
    case ValueType::string:
      return std::string(*metadata.string_at(key));
    case ValueType::array:
      return array_json(**metadata.array_at(key));
    case ValueType::boolean:
      return *metadata.bool_at(key);
    case ValueType::float32:
    case ValueType::float64:
      return *metadata.f64_at(key);
    case ValueType::uint64:
      return *metadata.u64_at(key);
    default:
      return *metadata.i64_at(key);
  }
}

// JSON as text; bytes that are not UTF-8 come as U+FFFD.
std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json shape_json(const files::TensorInfo& tensor) {
  return std::vector<u64>(tensor.shape.begin(), tensor.shape.begin() + tensor.dims);
}

void print_json(const files::Gguf& gguf) {
  Json metadata = Json::object();
  for (u64 i = 0; i < gguf.metadata.size(); ++i) {
    metadata[std::string(gguf.metadata.key(i))] = value_json(gguf.metadata, i);
  }
  Json tensors = Json::array();
  for (const files::TensorInfo& tensor : gguf.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"type", formats::ggml_type_name(tensor.type)},
                       {"shape", shape_json(tensor)},
                       {"bytes", tensor.bytes},
                       {"offset", tensor.offset}});
  }
  const Totals totals = add_up(gguf);
  const Json out = {{"metadata", std::move(metadata)},
                    {"tensors", std::move(tensors)},
                    {"totals",
                     {{"tensors", gguf.tensors.size()},
                      {"parameters", totals.parameters},
                      {"bytes", totals.bytes},
                      {"by_type", totals.by_type}}}};
  std::puts(dump(out, 2).c_str());
}

std::string array_text(const Array& array) {
  std::string text = std::string(value_type_name(array.type())) + "[" + std::to_string(array.count()) + "] ";
  text += "[";
  for (u64 i = 0; i < std::min(array.count(), text_array_head); ++i) {
    if (i > 0) text += ", ";
    text += array.type() == ValueType::array ? array_text(array.array(i)) : dump(element_json(array, i));
  }
  return text + (array.count() > text_array_head ? ", …]" : "]");
}

std::string value_text(const Metadata& metadata, u64 i) {
  if (metadata.type(i) == ValueType::array) return array_text(**metadata.array_at(metadata.key(i)));
  std::string text = std::string(value_type_name(metadata.type(i))) + " ";
  if (metadata.type(i) != ValueType::string) return text + dump(value_json(metadata, i));
  const std::string_view value = *metadata.string_at(metadata.key(i));
  text += dump(std::string(value.substr(0, text_string_head)));
  return value.size() > text_string_head ? text + " … (" + std::to_string(value.size()) + " bytes)" : text;
}

std::string bytes_text(u64 bytes) { return std::to_string(bytes) + " bytes (" + megabytes(bytes) + ")"; }

void print_text(const files::Gguf& gguf) {
  std::printf("GGUF version %u, alignment %u\n\nmetadata\n", gguf.version, gguf.alignment);
  for (u64 i = 0; i < gguf.metadata.size(); ++i) {
    const std::string key = dump(std::string(gguf.metadata.key(i)));  // escaped: a key may hold anything
    std::printf("  %-40s %s\n", key.substr(1, key.size() - 2).c_str(), value_text(gguf.metadata, i).c_str());
  }
  std::printf("\ntensors\n");
  for (const files::TensorInfo& tensor : gguf.tensors) {
    const std::string name = dump(tensor.name);
    std::printf("  %-34s %-8s %-18s %" PRIu64 " bytes\n", name.substr(1, name.size() - 2).c_str(),
                std::string(formats::ggml_type_name(tensor.type)).c_str(), dump(shape_json(tensor)).c_str(),
                tensor.bytes);
  }
  const Totals totals = add_up(gguf);
  std::printf("\ntotals\n  %zu tensors, %" PRIu64 " weights, %s\n", gguf.tensors.size(), totals.parameters,
              bytes_text(totals.bytes).c_str());
  for (const auto& [type, bytes] : totals.by_type) std::printf("  %-8s %s\n", type.c_str(), bytes_text(bytes).c_str());
}

// What is in the way of running the file: an architecture, key, tensor, weight type or tokenizer.
Status support(const files::Gguf& gguf) {
  PRONK_TRY(const models::Model model, models::read_model(gguf));
  PRONK_TRY(const text::Tokenizer tokenizer, text::Tokenizer::from_metadata(gguf.metadata));
  if (tokenizer.vocab_size() <= model.hyper.vocab) return {};
  return fail("the vocabulary has " + std::to_string(tokenizer.vocab_size()) + " tokens, more than the embedding's " +
              std::to_string(model.hyper.vocab) + " rows");
}

Outcome print_support(const files::Gguf& gguf, bool json) {
  const Status supported = support(gguf);
  const std::string missing = supported ? "" : supported.error().message;
  const std::string architecture(gguf.metadata.string_or("general.architecture", "").value_or(""));
  if (json) {
    std::puts(
        dump({{"architecture", architecture}, {"supported", supported.has_value()}, {"missing", missing}}).c_str());
    return {};
  }
  if (!supported) return fail("not supported: " + missing);
  std::printf("supported: architecture %s\n", architecture.c_str());
  return {};
}

void print_architectures(bool json) {
  Json names = Json::array();
  for (const models::Architecture* each : models::architectures()) names.push_back(std::string(each->name));
  if (json) {
    std::puts(dump(names).c_str());
    return;
  }
  for (const Json& name : names) std::puts(name.get<std::string>().c_str());
}

Outcome run(const Args& args) {
  if (args.flag("--architectures")) {
    if (!args.positional().empty()) return bad_usage("pronk inspect: --architectures takes no FILE");
    print_architectures(args.flag("--json"));
    return {};
  }
  if (args.positional().empty()) return bad_usage("pronk inspect: FILE is missing");
  PRONK_TRY(const ModelFile model, open_model(std::string(args.positional())));
  if (args.flag("--support")) return print_support(model.gguf, args.flag("--json"));
  if (args.flag("--json")) {
    print_json(model.gguf);
  } else {
    print_text(model.gguf);
  }
  return {};
}

constexpr Option options[] = {
    {.name = "--json", .kind = OptionKind::flag, .help = "one JSON object: metadata, tensors, totals"},
    {.name = "--support", .kind = OptionKind::flag, .help = "instead: whether pronk runs the file, and if not, why"},
    {.name = "--architectures", .kind = OptionKind::flag, .help = "instead, without FILE: all that pronk runs"},
};

}  // namespace

const Command inspect_command = {
    .name = "inspect",
    .summary = "Prints the metadata and tensors of a GGUF file and their totals.",
    .positional = "[FILE]",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
