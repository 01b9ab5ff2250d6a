// Where the bytes of a model's files come from: paths, URLs, hf: names; URLs through the cache folder.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "args.h"
#include "base/result.h"
#include "base/types.h"
#include "file.h"
#include "files/gguf.h"
#include "text/tokenizer.h"

namespace pronk::cli {

constexpr u64 unknown_size = ~u64{0};

// One file, read by position. Reading on is quick; a jump may ask the server anew.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual u64 size() const = 0;  // unknown_size before the first read, and later where the server does not say
  // Fills `into`, or less at the end of the file. No byte from `until` on will be wanted.
  virtual Result<u64> read(u64 position, std::span<u8> into, u64 until) = 0;
  // Takes the first bytes of the file, which were read for its header and will be read once more. A source that can
  // read them again cheaply drops them.
  virtual void keep_prefix(std::vector<u8>) {}
  // The whole file in memory, without a copy of it; none where that cannot be had. It stays when the source is closed.
  // A file that another program makes shorter meanwhile ends this one with SIGBUS.
  virtual Result<std::shared_ptr<const MappedFile>> map() { return nullptr; }
  // After the last read: completes the cache's entry, and checks the whole file if its hash is known.
  virtual Status finish() { return {}; }
};

struct SourceOptions {
  std::string cache = {};    // folder; empty: none
  bool header_only = false;  // little will be read, so nothing is written to the cache
  // Of the whole file, in hex; empty: not known. Where it comes from a server and is another, finish() fails.
  std::string md5 = {};
};

constexpr Option cache_option{.name = "--cache",
                              .value = "DIR",
                              .help = "folder for downloads (default $XDG_CACHE_HOME/pronk or ~/.cache/pronk)"};
constexpr Option no_cache_option{
    .name = "--no-cache", .kind = OptionKind::flag, .help = "keep no downloads and use none"};
std::string cache_folder(const Args& args);      // of --cache; empty when there is none
SourceOptions source_options(const Args& args);  // of both

// -m as given: a path stays; an http(s) URL is put into its one spelling; "hf:owner/repo/file.gguf" and
// "hf:owner/repo@revision/file.gguf" become URLs of Hugging Face (or of $PRONK_HF_ENDPOINT), "hf:owner/repo" and
// "hf:owner/repo@revision" that of the folder, which ends with a slash.
Result<std::string> resolve_location(const std::string& name);
bool is_url(const std::string& location);
// All parts of a split model in order, from the location of any; else the location alone.
std::vector<std::string> part_locations(const std::string& location);

// The folder, with a slash at its end, when that is what a location names: itself (a URL by its slash), or its
// config.json or index of safetensors. Empty for any other location.
std::string folder_of(const std::string& location);
// All of a small file; nullopt when there is none of that name. Of a server that cannot be reached all files are there
// that the cache has, and no others, but where one is `needed` that is an error.
Result<std::optional<std::string>> read_whole(const std::string& location, const SourceOptions& options = {},
                                              bool needed = true);

Result<std::unique_ptr<ByteSource>> open_source(const std::string& location, const SourceOptions& options);

// Gives parse() ever more of the first bytes of a file until it wants no more, and keeps them in the source. parse()
// takes them and the file's size (or unknown_size) and returns how many bytes it needs to be called again with, or 0.
// At most a quarter or 2 MiB more than that is read. `name` leads its errors.
using HeaderParser = std::function<Result<u64>(std::span<const u8> prefix, u64 file_size)>;
Status read_header(ByteSource& source, const std::string& name, const HeaderParser& parse);

// The tokenizer of a GGUF file or of a folder.
Result<text::Tokenizer> read_tokenizer(const std::string& name, const SourceOptions& options);

// The metadata of a GGUF file, or of the first part of a split one, which holds that of all.
Result<files::Gguf> read_gguf(const std::string& name, const SourceOptions& options);

}  // namespace pronk::cli
