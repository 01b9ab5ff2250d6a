// Files of the command line: read-only maps, whole models with their splits, output streams.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "files/gguf.h"

namespace pronk::cli {

// A file mapped for reading. Moving keeps the bytes where they are.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  static Result<MappedFile> of(int descriptor, const std::string& path);  // path: for errors
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  void read_ahead() const;  // all of it will be needed: what is not in memory starts to come

  std::span<const u8> bytes() const { return {data_, static_cast<std::size_t>(size_)}; }
  u64 size() const { return size_; }

 private:
  MappedFile() = default;
  const u8* data_ = nullptr;
  u64 size_ = 0;
};

// A GGUF model with all its splits.
struct ModelFile {
  files::Gguf gguf;
  std::vector<MappedFile> files;  // index: TensorInfo::file

  std::span<const u8> bytes(const files::TensorInfo& tensor) const;
};
Result<ModelFile> open_model(const std::string& path);  // any one of the splits' paths opens them all

// A file being written; what goes wrong is told by write() or close(), and an unclosed file is removed.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  Status write(std::span<const u8> bytes);
  Status close();

 private:
  OutputFile() = default;
  void discard() const;  // removes an unfinished regular file
  std::FILE* file_ = nullptr;
  std::string path_;
};

Result<std::string> read_stdin();

}  // namespace pronk::cli
