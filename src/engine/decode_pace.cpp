#include "engine/decode_pace.h"

#include <algorithm>

namespace pronk::engine {

void DecodePace::start() {
  received_ = burst_end_ = smooth_ = 0;
  last_ms_ = 1e300;  // no gap before the first
}

void DecodePace::arrived(u32 end, u32 submitted, double submitted_ms, double now_ms) {
  const double latency = now_ms - submitted_ms, gap = now_ms - last_ms_;
  last_ms_ = now_ms;
  if (gap > burst_share * latency) {
    burst_ms_ = now_ms;
    burst_end_ = submitted;
  }
  smooth_ = gap > spare_share * latency ? 0 : smooth_ + end - received_;
  received_ = end;
  if (burst_end_ != 0 && end >= burst_end_) {
    burst_end_ = 0;
    if (now_ms - burst_ms_ < burst_share * latency) {
      steps_ = std::min(most, steps_ + steps_ / 2);
      smooth_ = 0;
    }
  }
  if (smooth_ >= 4 * steps_) {
    steps_ = std::max(least, steps_ - steps_ / 4);
    smooth_ = 0;
  }
}

}  // namespace pronk::engine
