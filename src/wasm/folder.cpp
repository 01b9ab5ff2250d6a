#include "wasm/folder.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "convert/job.h"
#include "sources/folder.h"
#include "text/tokenizer.h"

namespace pronk::wasm {
namespace {

// The one folder of this module.
struct Instance {
  std::unique_ptr<sources::Source> source;
  std::string first_file;
  files::Gguf gguf;
  std::vector<convert::Job> jobs;
  std::unique_ptr<files::GgufWriter> writer;
  u64 head_bytes = 0;
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

Result<std::string> head() {
  PRONK_TRY(instance.gguf, instance.source->header());
  instance.writer = std::make_unique<files::GgufWriter>();
  PRONK_OK(convert::write_metadata(instance.gguf.metadata, instance.source->tokenizer_files(), {}, *instance.writer));
  for (const files::TensorInfo& tensor : instance.gguf.tensors) {
    PRONK_TRY(convert::Job job, convert::job_of(tensor));
    instance.writer->add_tensor(job.name, job.type, job.shape);
    instance.jobs.push_back(std::move(job));
  }
  const std::vector<u8> bytes = instance.writer->header();
  instance.head_bytes = bytes.size();
  return std::string(bytes.begin(), bytes.end());
}

FolderTensor describe(u64 index) {
  const convert::Job& job = instance.jobs[index];
  const std::vector<convert::Input> inputs = convert::inputs_of(*job.tensor);
  FolderTensor out;
  out.offset = double(instance.head_bytes + instance.writer->tensor_offset(index));
  out.bytes = double(instance.writer->tensor_bytes(index));
  out.first_file = inputs[0].file;
  out.first_offset = double(inputs[0].offset);
  out.first_bytes = double(inputs[0].bytes);
  if (inputs.size() > 1) {
    out.second_file = inputs[1].file;
    out.second_offset = double(inputs[1].offset);
    out.second_bytes = double(inputs[1].bytes);
  }
  if (job.copied()) return out;
  const convert::Unit unit = *convert::unit_of(job.tensor->type, inputs.size() > 1);
  out.unit = unit.bytes;
  out.first_unit = unit.of_inputs[0];
  out.second_unit = unit.of_inputs[1];
  out.type = job.tensor->type;
  out.added = job.tensor->added;
  return out;
}

}  // namespace
}  // namespace pronk::wasm

using namespace pronk;
using namespace pronk::wasm;

i32 folder_file_names() {
  if (!instance.source) return give(lines(sources::folder_file_names().first(2)));
  return give(lines(sources::other_file_names(instance.first_file)));
}

i32 folder_add_file(const u8* name, u32 name_length, const u8* bytes, u32 length) {
  const std::string_view file = text_of(name, name_length);
  if (!instance.source) {
    instance.source = sources::folder_source(file);
    instance.first_file = file;
  }
  const Status added = instance.source->add_file(file, std::string(text_of(bytes, length)));
  return added ? 0 : bad_model(added.error());
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
  auto bytes = head();
  return bytes ? give(std::move(*bytes)) : bad_model(bytes.error());
}

double folder_tensors() {
  if (instance.jobs.empty()) return misused("there is no head");
  std::string out;
  FolderTensor tensor;
  for (u64 i = 0; i < instance.jobs.size(); ++i) {
    tensor = describe(i);
    out.append(reinterpret_cast<const char*>(&tensor), sizeof tensor);
  }
  give(std::move(out));
  return tensor.offset + tensor.bytes;
}

i32 folder_make(u32 type, double added, u32 units, const u8* first, const u8* second) {
  if (!convert::unit_of(type, second != nullptr)) return misused("no such tensor");
  const u8* const inputs[] = {first, second};
  const std::vector<u8> bytes = convert::make(type, second != nullptr, float(added), units, inputs);
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
