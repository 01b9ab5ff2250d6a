// pronk dequant: raw blocks of one weight format to float32, little-endian.
#include <algorithm>
#include <string>
#include <vector>

#include "commands.h"
#include "file.h"
#include "formats/format.h"

namespace pronk::cli {

namespace {

std::string known_formats() {
  std::string names;
  for (const formats::Format& format : formats::table()) {
    names += (names.empty() ? "" : ", ") + std::string(format.name);
  }
  return names;
}

Outcome run(const Args& args) {
  const formats::Format* format = formats::find(args.text("--type"));
  if (format == nullptr) {
    return bad_usage("pronk dequant: --type " + std::string(args.text("--type")) + " is not a format pronk runs (" +
                     known_formats() + ")");
  }
  const std::string path(args.text("--in"));
  PRONK_TRY(const MappedFile in, MappedFile::open(path));
  if (in.size() % format->block_bytes != 0) {
    return fail(path + ": " + std::to_string(in.size()) + " bytes are not a multiple of the " +
                std::to_string(format->block_bytes) + " bytes in a block of " + std::string(format->name));
  }
  PRONK_TRY(OutputFile out, OutputFile::create(std::string(args.text("--out"))));
  const u64 blocks = in.size() / format->block_bytes;
  const u64 part = 65536 / format->block_weights;
  std::vector<float> weights(part * format->block_weights);
  for (u64 first = 0; first < blocks; first += part) {
    const u64 count = std::min(part, blocks - first);
    format->decode(in.bytes().data() + first * format->block_bytes, count, weights.data());
    const u8* bytes = reinterpret_cast<const u8*>(weights.data());
    PRONK_OK(out.write({bytes, count * format->block_weights * sizeof(float)}));
  }
  PRONK_OK(out.close());
  return {};
}

constexpr Option options[] = {
    {.name = "--type", .value = "NAME", .help = "weight format, as in Q4_0", .required = true},
    {.name = "--in", .value = "RAW", .help = "file of blocks as they lie in a GGUF tensor", .required = true},
    {.name = "--out", .value = "F32", .help = "file to write: float32, little-endian", .required = true},
};

}  // namespace

const Command dequant_command = {
    .name = "dequant",
    .summary = "Decodes raw blocks of one weight format to float32.",
    .options = options,
    .run = run,
};

}  // namespace pronk::cli
