// Any bytes as a folder of MLC's: the first line is its configuration, what follows the JSON that says where tensors
// lie. An error, or tensors of whole blocks that lie in the shards.
#include <string>

#include "base/check.h"
#include "convert/job.h"
#include "sources/mlc.h"

namespace {

using namespace pronk;

bool is_error(const Error& error) { return !error.message.empty() && error.message.find('\n') == std::string::npos; }

void check(const files::TensorInfo& tensor, u64 shards) {
  constexpr u64 most = u64{1} << 62;
  const auto job = convert::job_of(tensor);
  if (!job) return CHECK(is_error(job.error()));
  for (const auto& [making, inputs] : convert::parts_of(tensor)) {
    for (const convert::Input& input : inputs) CHECK(input.file < shards && input.bytes > 0 && input.offset < most);
    if (making.copies()) {
      CHECK(inputs.size() == 1 && inputs[0].bytes == tensor.bytes);
      continue;
    }
    const auto unit = convert::unit_of(making);
    CHECK(unit.has_value());
    const u64 units = inputs[0].bytes / unit->of_inputs[0];
    for (u64 i = 0; i < inputs.size(); ++i) CHECK(inputs[i].bytes == units * unit->of_inputs[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(bytes.find('\n'), size);
  sources::Mlc source;
  const Status config = source.add_file("mlc-chat-config.json", std::string(bytes.substr(0, line)));
  CHECK(config || is_error(config.error()));
  const Status cache = source.add_file("tensor-cache.json", std::string(bytes.substr(std::min(line + 1, size))));
  if (!cache) {
    CHECK(is_error(cache.error()));
    return 0;
  }
  const u64 shards = source.weight_files().size();
  CHECK(shards > 0);
  for (u32 file = 0; file < shards; ++file) {
    const std::string& name = source.weight_files()[file];
    CHECK(!name.empty() && name.find('/') == name.npos && name.find('\n') == name.npos && name != "..");
    CHECK(source.weight_md5(file).empty() || source.weight_md5(file).size() == 32);
    CHECK(source.add_header({}, std::nullopt) == u64{0});
  }
  const auto header = source.header();
  if (!header) {
    CHECK(is_error(header.error()));
    return 0;
  }
  for (const files::TensorInfo& tensor : header->tensors) check(tensor, shards);
  return 0;
}
