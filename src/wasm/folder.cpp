#include "wasm/folder.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "convert/job.h"
#include "convert/plan.h"
#include "sources/folder.h"
#include "text/tokenizer.h"

namespace pronk::wasm {
namespace {

// The one folder of this module.
struct Instance {
  std::unique_ptr<sources::Source> source;
  std::string first_file;
  std::string named;  // small files that others name, one a line
  convert::Plan plan;
};

Instance instance;
std::optional<text::Tokenizer> tokenizer;

i32 bad_model(const Error& error) { return failed(error, ErrorCode::bad_model); }

template <class Names>
std::string lines(const Names& names) {
  std::string out;
  for (const auto& name : names) out.append(name).append("\n");
  return out;
}

FolderTensor describe(u64 index) {
  const auto& [making, inputs] = instance.plan.parts[index];
  FolderTensor out;
  out.offset = double(instance.plan.offsets[index]);
  out.bytes = double(instance.plan.sizes[index]);
  out.first_file = inputs[0].file;
  out.first_offset = double(inputs[0].offset);
  out.first_bytes = double(inputs[0].bytes);
  if (inputs.size() > 1) {
    out.second_file = inputs[1].file;
    out.second_offset = double(inputs[1].offset);
    out.second_bytes = double(inputs[1].bytes);
  }
  if (making.copies()) return out;
  const convert::Unit unit = *convert::unit_of(making);
  out.unit = unit.bytes;
  out.first_unit = unit.of_inputs[0];
  out.second_unit = unit.of_inputs[1];
  out.type = making.type;
  out.stored = u32(making.stored);
  out.row = making.stored == files::Stored::whole ? 0 : u32(making.row);
  out.added = making.added;
  return out;
}

}  // namespace
}  // namespace pronk::wasm

using namespace pronk;
using namespace pronk::wasm;

i32 folder_file_names() {
  if (!instance.source) return give(lines(sources::first_file_names()));
  return give(lines(sources::other_file_names(instance.first_file)) + instance.named);
}

i32 folder_add_file(const u8* name, u32 name_length, const u8* bytes, u32 length) {
  const std::string_view file = text_of(name, name_length);
  if (!instance.source) {
    instance.source = sources::folder_source(file);
    instance.first_file = file;
  }
  const std::string_view contents = text_of(bytes, length);
  instance.named += lines(sources::named_files(file, contents));
  const Status added = instance.source->add_file(file, std::string(contents));
  return added ? 0 : bad_model(added.error());
}

i32 folder_add_names(const u8* names, u32 length) {
  if (!instance.source) return misused("no file was added");
  std::vector<std::string_view> all;
  for (std::string_view rest = text_of(names, length); !rest.empty();) {
    all.push_back(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), all.back().size() + 1));
  }
  instance.source->add_names(all);
  return 0;
}

i32 folder_weight_files() {
  if (!instance.source) return misused("no file was added");
  std::string out;
  for (u32 file = 0; file < instance.source->weight_files().size(); ++file) {
    out.append(instance.source->weight_md5(file)).append(" ");
    out.append(instance.source->weight_files()[file]).append("\n");
  }
  return give(std::move(out));
}

double folder_header(const u8* bytes, u32 length, double size) {
  if (!instance.source || instance.source->weights_added() == instance.source->weight_files().size())
    return misused("no weight file is awaited");
  const auto needed = instance.source->add_header({bytes, length}, size < 0 ? std::nullopt : std::optional(u64(size)));
  return needed ? double(*needed) : bad_model(needed.error());
}

i32 folder_head() {
  if (!instance.source || instance.source->weights_added() < instance.source->weight_files().size())
    return misused("a weight file is missing");
  auto plan = convert::plan_of(*instance.source);
  if (!plan) return bad_model(plan.error());
  instance.plan = std::move(*plan);
  return give(std::string(instance.plan.head.begin(), instance.plan.head.end()));
}

double folder_tensors() {
  if (instance.plan.parts.empty()) return misused("there is no head");
  std::string out;
  for (u64 i = 0; i < instance.plan.parts.size(); ++i) {
    const FolderTensor tensor = describe(i);
    out.append(reinterpret_cast<const char*>(&tensor), sizeof tensor);
  }
  give(std::move(out));
  return double(instance.plan.bytes());
}

i32 folder_make(u32 type, u32 stored, u32 unit, u32 row, double added, u32 units, const u8* first, const u8* second) {
  const convert::Making making{.type = type,
                               .stored = files::Stored(stored),
                               .scales_apart = second != nullptr,
                               .added = float(added),
                               .row = row,
                               .rows = row == 0 ? 0 : unit / row};
  const auto known = convert::unit_of(making);
  if (!known || known->bytes != unit || units > (convert::is_made_whole(making.stored) ? 1 : ~0u))
    return misused("no such tensor");
  const u8* const inputs[] = {first, second};
  const std::vector<u8> bytes = convert::make(making, units, inputs);
  return give(std::string(bytes.begin(), bytes.end()));
}

i32 folder_tokenizer(const u8* json, u32 length) {
  auto read = text::Tokenizer::from_json({.tokenizer = std::string(text_of(json, length))});
  if (!read) return bad_model(read.error());
  tokenizer = std::move(*read);
  return 0;
}

i32 folder_encode(const u8* text, u32 length, u32 control) {
  CHECK(tokenizer.has_value());
  const auto ids = tokenizer->encode(text_of(text, length), {control != 0, text::Tokenizer::Bos::off});
  if (!ids) return failed(ids.error(), ErrorCode::bad_argument);
  return give(std::string(reinterpret_cast<const char*>(ids->data()), ids->size() * sizeof(u32)));
}

i32 folder_decode(u32 id, u32 first) {
  CHECK(tokenizer.has_value());
  std::string text;
  tokenizer->append_piece(id, text, true, first != 0);
  return give(std::move(text));
}
