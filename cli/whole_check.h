// The hash that is published of a whole file, against the bytes that pass by.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "base/types.h"

namespace pronk::cli {

class WholeCheck {
 public:
  // In lower-case hex; the first that is not empty counts. Without either nothing is checked.
  WholeCheck(const std::string& sha256, const std::string& md5);
  WholeCheck(WholeCheck&&) noexcept;
  WholeCheck& operator=(WholeCheck&&) noexcept;
  ~WholeCheck();

  bool wanted() const { return !published_.empty(); }
  u64 position() const { return position_; }  // bytes that count so far: those from the first on, in order
  void add(u64 position, std::span<const u8> bytes);
  // Once all bytes were there, whether they are what is published; `name` leads the error.
  Status finish(const std::string& name);

 private:
  struct State;
  std::string published_;
  u64 position_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace pronk::cli
