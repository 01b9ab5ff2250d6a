// How many tokens of a prompt go through the GPU at once, and in how many submissions. One of seconds freezes the
// screen, and an operating system resets a driver that does not answer for two; few tokens waste the GPU. So it starts
// small and follows the time that they take. Below one step of the GEMM tokens would need another kernel, which is
// slower a token and rounds differently, while the text should not depend on how busy the GPU is: a slow device has a
// step's layers in several submissions.
#pragma once

#include "base/types.h"

namespace pronk::engine {

class PrefillPace {
 public:
  static constexpr double quick_ms = 60, slow_ms = 100;  // a submission should take no less and no more
  static constexpr double aim_ms = 75;
  static constexpr u32 most_parts = 64;

  // first: tokens to start with, 0 for one step of the GEMM. most: what the plan's buffers hold, at least 1.
  PrefillPace(u32 first, u32 most);

  u32 tokens() const { return tokens_; }  // of a full chunk from now on
  u32 parts() const { return parts_; }    // submissions that it is cut into
  // A chunk of `tokens` took so long, on average of those that finished together.
  void took(u32 tokens, double milliseconds);

 private:
  void set(double tokens);

  u32 most_, tokens_ = 0, parts_ = 1;
  u32 quick_ = 0;     // quick full chunks since the last change
  u32 patience_ = 1;  // so many of them make it grow: more after each time that it shrank, so that it settles
};

}  // namespace pronk::engine
