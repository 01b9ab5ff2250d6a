// The files of a model that are read one after the other.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "source.h"

namespace pronk::cli {

// One is open at a time: a model may have more of them than a process may open.
class FilesInTurn {
 public:
  struct File {
    std::string location;
    std::string md5 = {};  // in hex; empty: not known
  };
  FilesInTurn(std::vector<File> files, SourceOptions options)
      : files_(std::move(files)), options_(std::move(options)) {}

  // All of `into`; no byte from `until` on will be wanted soon.
  Status read(u32 file, u64 position, std::span<u8> into, u64 until);
  // A file that was read to its end is checked.
  Status close();

 private:
  Status open(u32 file);

  std::vector<File> files_;
  SourceOptions options_;
  std::unique_ptr<ByteSource> open_;
  u32 open_file_ = 0;
  u64 position_ = 0;
};

}  // namespace pronk::cli
