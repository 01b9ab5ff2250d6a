#include "engine/prefill_pace.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/kernels.h"

namespace pronk::engine {
namespace {

constexpr u32 most_patience = 64;

}  // namespace

PrefillPace::PrefillPace(u32 first, u32 most) : most_(most) { set(first == 0 ? kernels::gemm_step() : first); }

// Whole steps of the GEMM; below one a power of two, for the small-batch matvec.
void PrefillPace::set(double tokens) {
  quick_ = 0;
  if (tokens >= most_) {
    tokens_ = most_;
    return;
  }
  const u32 step = kernels::gemm_step(), wanted = std::max(u32(tokens), 1u);
  tokens_ = wanted >= step ? wanted / step * step : std::bit_floor(wanted);
  tokens_ = std::min(most_, std::max(tokens_, kernels::batch_tokens));
}

void PrefillPace::took(u32 tokens, double milliseconds) {
  if (tokens < tokens_) return;  // the rest of a prompt says little about a full chunk
  const u32 step = kernels::gemm_step();
  parts_ = 1;
  if (milliseconds > slow_ms && tokens_ <= step) {
    quick_ = 0;
    parts_ = u32(std::min(std::ceil(milliseconds / aim_ms), double(most_parts)));
  } else if (milliseconds > slow_ms) {
    patience_ = std::min(patience_ * 2, most_patience);
    set(std::max(tokens * aim_ms / milliseconds, double(step)));
  } else if (milliseconds < quick_ms && ++quick_ >= patience_) {
    set(tokens_ * std::min(2.0, aim_ms / std::max(milliseconds, 1.0)));
  }
}

}  // namespace pronk::engine
