#include "engine/prefill_pace.h"

#include <algorithm>
#include <bit>

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
  if (tokens < tokens_) return;  // the rest of a prompt says little about a full submission
  const double slow = tokens_ == kernels::gemm_step() ? slow_step_ms : slow_ms;
  if (milliseconds > slow) {
    patience_ = std::min(patience_ * 2, most_patience);
    set(std::min<double>(tokens_, tokens * aim_ms / milliseconds));
  } else if (milliseconds < quick_ms && ++quick_ >= patience_) {
    set(tokens_ * std::min(2.0, aim_ms / std::max(milliseconds, 1.0)));
  }
}

}  // namespace pronk::engine
