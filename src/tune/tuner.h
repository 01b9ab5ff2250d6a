// Measures the candidates of kernels on a device and chooses. It waits for nothing: the owner lets the device run and
// calls pump() after each of its events, all of which are the tuner's.
#pragma once

#include <map>
#include <memory>

#include "engine/op_run.h"
#include "pronk/pronk.h"
#include "tune/problems.h"

namespace pronk::tune {

// What came out for one problem.
struct Verdict {
  std::string key;
  std::string standard, chosen;  // candidates
  double standard_us = 0, chosen_us = 0;
  u32 measured = 0;  // candidates that ran to the end of a round
  u32 refused = 0;   // that did not compile or computed wrongly
  struct Time {
    std::string candidate;
    double us = 0;
  };
  std::vector<Time> times;  // of all that were measured; those that fell out early have fewer rounds behind them
};

class Tuner {
 public:
  // The device must outlive it. seconds: in all; what has not been measured by then keeps its default.
  Tuner(std::vector<Problem> problems, gpu::Device& device, double seconds);
  // Of all that a model would run if it were loaded so, but for what `known` has choices of; of the model no more than
  // the headers is needed.
  static Result<std::unique_ptr<Tuner>> create(const Model& model, const LoadOptions& options, gpu::Device& device,
                                               double seconds, const kernels::Tuning& known = {});

  // An error ends it: the device is lost, or refuses memory.
  Status pump();
  bool done() const { return state_ == State::done; }
  std::span<const Problem> problems() const { return problems_; }

  const kernels::Tuning& tuning() const { return tuning_; }
  std::span<const Verdict> verdicts() const { return verdicts_; }  // of the problems that are over

 private:
  enum class State : u8 { next_problem, compiling, checking, measuring, done };
  struct Contender {
    u32 candidate = 0;
    double best_us = 0;  // of one run; 0: none yet
    u32 times = 1;       // a submission
    u32 first_step = 0;  // of the case that is timed
    bool out = false;
  };

  Status take_in(const gpu::Event& event);
  void advance();
  void open_problem();
  void compile_next();
  void check_compiled();
  void take_check(std::span<const u8> bytes);
  void start_measuring();
  void submit_next();
  void take_time();
  void end_round();
  void close_problem();
  bool time_is_up() const { return device_.now_ms() >= problem_end_ms_; }
  const Problem& problem() const { return problems_[problem_]; }
  engine::OpRun::Pipelines pipelines();

  std::vector<Problem> problems_;
  gpu::Device& device_;
  const double seconds_;
  double end_ms_ = 0, problem_begin_ms_ = 0, problem_end_ms_ = 0;
  State state_ = State::next_problem;
  std::size_t problem_ = 0;

  std::map<std::string, gpu::PipelineId> compiled_;  // by label; none: it was refused
  std::map<u32, std::string> labels_;
  u32 pending_ = 0;       // pipelines that compile
  std::size_t next_ = 0;  // candidate to check, contender to measure
  engine::OpCase check_;
  engine::OpRun run_;
  std::vector<Contender> contenders_;
  u32 refused_ = 0, round_ = 0, ticket_ = 0;
  double submitted_ms_ = 0;

  kernels::Tuning tuning_;
  std::vector<Verdict> verdicts_;
};

}  // namespace pronk::tune
