// How many tokens of a prompt go to the GPU in one submission. A submission of seconds freezes the screen, and an
// operating system resets a driver that does not answer for two; one of few tokens wastes the GPU. So it starts small
// and follows the time that submissions take.
#pragma once

#include "base/types.h"

namespace pronk::engine {

class PrefillPace {
 public:
  static constexpr double quick_ms = 60, slow_ms = 100;  // a submission should take no less and no more …
  static constexpr double aim_ms = 75;
  // … but one step of the GEMM may take this long: fewer tokens need another kernel, which rounds differently, and the
  // text should not depend on how busy the GPU is.
  static constexpr double slow_step_ms = 500;

  // first: tokens to start with, 0 for one step of the GEMM. most: what the plan's buffers hold, at least 1.
  PrefillPace(u32 first, u32 most);

  u32 tokens() const { return tokens_; }  // of a full submission from now on
  // A submission of `tokens` took so long, on average of those that finished together.
  void took(u32 tokens, double milliseconds);

 private:
  void set(double tokens);

  u32 most_, tokens_ = 0;
  u32 quick_ = 0;     // quick full submissions since the last change
  u32 patience_ = 1;  // so many of them make it grow: more after each time that it shrank, so that it settles
};

}  // namespace pronk::engine
