#include "files_in_turn.h"

#include <algorithm>

namespace pronk::cli {

Status FilesInTurn::read(u32 file, u64 position, std::span<u8> into, u64 until) {
  if (!open_ || open_file_ != file) PRONK_OK(open(file));
  if (position_ == 0 && position > 0) {  // what a cache keeps begins with the first byte
    std::vector<u8> skipped(std::min<u64>(position, 512 << 10));
    PRONK_TRY(position_, open_->read(0, skipped, until));
  }
  for (u64 filled = 0; filled < into.size();) {
    PRONK_TRY(const u64 got, open_->read(position + filled, into.subspan(filled), until));
    if (got == 0) return fail(files_[file].location + ": ends at byte " + std::to_string(position + filled));
    filled += got;
    position_ = position + filled;
  }
  return {};
}

Status FilesInTurn::open(u32 file) {
  PRONK_OK(close());
  options_.md5 = files_[file].md5;
  PRONK_TRY(open_, open_source(files_[file].location, options_));
  open_file_ = file;
  position_ = 0;
  return {};
}

Status FilesInTurn::close() {
  if (!open_) return {};
  const std::unique_ptr<ByteSource> closed = std::move(open_);
  return position_ == closed->size() ? closed->finish() : Status();
}

}  // namespace pronk::cli
