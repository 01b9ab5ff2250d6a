// Any bytes as a folder of Hugging Face's: the first line is its config.json, each other a tensor: its name, type and
// shape. An error, or the plan of a GGUF file whose tensors are made of whole units that lie in the folder.
// tests/fuzz/folder_seeds.py writes its seeds.
#include <algorithm>
#include <charconv>
#include <string>

#include "base/check.h"
#include "convert/plan.h"
#include "sources/huggingface.h"

namespace {

using namespace pronk;

constexpr files::Dtype types[] = {{"F32", 32, 0},
                                  {"F16", 16, 1},
                                  {"BF16", 16, 30},
                                  {"I8", 8, 24},
                                  {"F64", 64, 28},
                                  {"U8", 8, files::no_ggml_type},
                                  {"U16", 16, files::no_ggml_type}};
constexpr u64 most = u64{1} << 62;

bool is_error(const Error& error) { return !error.message.empty() && error.message.find('\n') == std::string::npos; }

std::string_view take(std::string_view& text, char end) {
  const std::string_view word = text.substr(0, text.find(end));
  text.remove_prefix(std::min(text.size(), word.size() + 1));
  return word;
}

// As the reader of files leaves it: of a size that fits.
bool read_tensor(std::string_view line, files::Safetensors& file) {
  files::SafeTensor tensor{.name = std::string(take(line, ' ')), .offset = file.end};
  const auto type = std::ranges::find(types, take(line, ' '), &files::Dtype::name);
  if (type == std::end(types)) return false;
  tensor.dtype = &*type;
  tensor.bytes = type->bits / 8;
  while (!line.empty() && tensor.shape.size() < files::max_safetensors_rank) {
    const std::string_view word = take(line, ' ');
    u64 size = 0;
    std::from_chars(word.data(), word.data() + word.size(), size);
    if (size > 0 && tensor.bytes > (most - file.end) / size) return false;
    tensor.shape.push_back(size);
    tensor.bytes *= size;
  }
  file.end += tensor.bytes;
  file.tensors.push_back(std::move(tensor));
  return true;
}

void check(const convert::Plan& plan, u64 end) {
  u64 at = plan.head.size();
  CHECK(plan.parts.size() == plan.offsets.size() && plan.parts.size() == plan.sizes.size());
  for (u64 i = 0; i < plan.parts.size(); ++i) {
    const auto& [making, inputs] = plan.parts[i];
    CHECK(plan.offsets[i] >= at && plan.sizes[i] > 0 && plan.sizes[i] < most);
    at = plan.offsets[i] + plan.sizes[i];
    for (const convert::Input& input : inputs) {
      CHECK(input.file == 0 && input.bytes > 0 && input.offset < end && input.bytes <= end - input.offset);
    }
    if (making.copies()) {
      CHECK(inputs.size() == 1 && inputs[0].bytes == plan.sizes[i]);
      continue;
    }
    const auto unit = convert::unit_of(making);
    CHECK(unit.has_value() && inputs.size() == 1 + making.scales_apart);
    const u64 units = plan.sizes[i] / unit->bytes;
    CHECK(units * unit->bytes == plan.sizes[i]);
    for (u64 n = 0; n < inputs.size(); ++n) CHECK(inputs[n].bytes == units * unit->of_inputs[n]);
  }
  CHECK(at == plan.bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  sources::HuggingFace source;
  const Status config = source.add_file("config.json", std::string(take(bytes, '\n')));
  if (!config) {
    CHECK(is_error(config.error()));
    return 0;
  }
  files::Safetensors file{.data_offset = 8, .end = 8};
  while (!bytes.empty()) {
    if (!read_tensor(take(bytes, '\n'), file)) return 0;
  }
  const u64 end = file.end;
  CHECK(source.add_weights(std::move(file)));
  const auto plan = convert::plan_of(source);
  if (plan) return check(*plan, end), 0;
  CHECK(is_error(plan.error()));
  return 0;
}
