// How many decode steps are submitted before the token of the first of them has been read. They have to last as long as
// a token takes to come back once the GPU has made it: where that is long (Firefox looks for finished work every 100
// ms) the GPU would else stand still. More than that only add to what the GPU still does for a run that was cancelled.
//
// It is seen from when tokens come. Where the wait for them is most of a step's time from submission to token, they
// come in bursts; a burst that brings all steps in flight leaves the GPU without work, and there are to be more. Where
// they come one by one over that time, as the GPU makes them, there may be fewer. A host that is busy submitting has
// always steps in flight when it hears of others.
#pragma once

#include "base/types.h"

namespace pronk::engine {

class DecodePace {
 public:
  static constexpr u32 least = 6, most = 64;             // steps in flight
  static constexpr u32 most_reads = 8;                   // of tokens, in flight
  static constexpr u32 most_tokens = most / most_reads;  // of a read
  // Shares of a step's time: a longer gap begins a burst, which is shorter; with no longer gap there are steps to
  // spare.
  static constexpr double burst_share = 0.25, spare_share = 0.4;

  explicit DecodePace(u32 steps = least) : steps_(steps) {}

  u32 steps() const { return steps_; }  // that may be in flight
  u32 steps_a_read() const { return u32(ceil_div(steps_, most_reads)); }

  void start();  // a run
  // A read has come that ends with the token of step `end` of the run, of `submitted` steps so far.
  void arrived(u32 end, u32 submitted, double submitted_ms, double now_ms);

 private:
  u32 steps_;
  u32 received_ = 0;
  double last_ms_ = 0;  // when a read came
  double burst_ms_ = 0;
  u32 burst_end_ = 0;  // steps that had been submitted when the burst began; 0: they have come
  u32 smooth_ = 0;     // steps since the last gap that spares none
};

}  // namespace pronk::engine
