#include "tune/tuner.h"

#include <algorithm>
#include <utility>

#include "engine/model_parts.h"
#include "engine/preflight.h"
#include "kernels/adapter_classes.h"

namespace pronk::tune {
namespace {

constexpr u32 rounds = 6;       // the first tells how often a candidate runs in each of the others
constexpr double round_ms = 4;  // that a candidate runs in each
constexpr u32 most_times = 2000;
constexpr double pruned = 1.3;     // times as slow as the best: no longer measured
constexpr double worth_it = 0.97;  // of the default's time: less gain is noise

}  // namespace

Tuner::Tuner(std::vector<Problem> problems, gpu::Device& device, double seconds)
    : problems_(std::move(problems)), device_(device), seconds_(seconds), run_(device) {}

Result<std::unique_ptr<Tuner>> Tuner::create(const Model& model, const LoadOptions& options, gpu::Device& device,
                                             double seconds, const kernels::Tuning& known) {
  PRONK_TRY(const auto loadable, model.parts_->loadable(options));
  const engine::Preflight preflight(model.parts_->file, *loadable.model, loadable.options, &device.limits(),
                                    &device.features());
  PRONK_TRY(const Plan fitting, preflight.run(false));
  if (!fitting.fits()) return fail(fitting.refusal_code, fitting.refusal);
  PRONK_TRY(const engine::GpuPlan plan, engine::plan_gpu(*loadable.model,
                                                         {.context = fitting.context,
                                                          .kv = loadable.options.kv,
                                                          .tuning = kernels::with_class_choices(nullptr, device.info()),
                                                          .activations = loadable.options.activations},
                                                         device.limits(), device.features()));
  std::vector<Problem> all = tune::problems(*loadable.model, plan, device.limits(), device.features());
  std::erase_if(all, [&](const Problem& problem) {
    return std::ranges::any_of(known.choices(), [&](const auto& choice) { return choice.key == problem.key; });
  });
  return std::make_unique<Tuner>(std::move(all), device, seconds);
}

engine::OpRun::Pipelines Tuner::pipelines() {
  return [this](const gpu::PipelineDesc& kernel) { return compiled_.at(kernel.label); };
}

Status Tuner::pump() {
  if (end_ms_ == 0) end_ms_ = device_.now_ms() + 1000 * seconds_;
  for (gpu::Event event; device_.next_event(event);) PRONK_OK(take_in(event));
  for (;;) {
    if (state_ == State::next_problem) {
      open_problem();
    } else if (state_ == State::compiling && pending_ == 0) {
      check_compiled();
    } else {
      return {};
    }
  }
}

Status Tuner::take_in(const gpu::Event& event) {
  using Kind = gpu::Event::Kind;
  switch (event.kind) {
    case Kind::pipeline_ready:
      --pending_;
      return {};
    case Kind::pipeline_failed:
      --pending_;
      compiled_[labels_[event.id]] = gpu::PipelineId::none;
      return {};
    case Kind::read_done:
      take_check(event.bytes);
      return {};
    case Kind::work_done:
      if (event.id == ticket_ && state_ == State::measuring) take_time();
      return {};
    case Kind::device_lost:
      return fail(ErrorCode::device_lost, "the device was lost: " + event.message);
    case Kind::buffer_failed:
      return fail(ErrorCode::out_of_memory, "the device refused memory: " + event.message);
    case Kind::read_failed:
    case Kind::error:
      return fail(ErrorCode::device_failed, "the device reported an error: " + event.message);
  }
  return {};
}

// ---- Compiling and checking, one candidate after the other

void Tuner::open_problem() {
  if (problem_ == problems_.size() || device_.now_ms() >= end_ms_) {
    state_ = State::done;
    return;
  }
  // What earlier problems left of their time goes to the later ones.
  const double now = device_.now_ms();
  problem_begin_ms_ = now;
  problem_end_ms_ = now + (end_ms_ - now) / double(problems_.size() - problem_);
  contenders_.clear();
  refused_ = 0;
  next_ = 0;
  compile_next();
}

// Half of the time is for compiling; the default is there in any case.
void Tuner::compile_next() {
  const bool late = next_ > 0 && device_.now_ms() >= (problem_begin_ms_ + problem_end_ms_) / 2;
  if (next_ == problem().candidates.size() || late) {
    start_measuring();
    return;
  }
  state_ = State::compiling;
  check_ = problem().check(problem().candidates[next_]);
  for (const engine::OpStep& step : check_.steps) {
    const auto [at, added] = compiled_.try_emplace(step.kernel.label);
    if (!added) continue;
    at->second = device_.create_pipeline(step.kernel);
    labels_[u32(at->second)] = step.kernel.label;
    ++pending_;
  }
}

void Tuner::check_compiled() {
  const auto refused = [&](const engine::OpStep& step) {
    return compiled_.at(step.kernel.label) == gpu::PipelineId::none;
  };
  if (std::any_of(check_.steps.begin(), check_.steps.end(), refused)) {
    ++refused_;
    ++next_;
    compile_next();
    return;
  }
  state_ = State::checking;
  std::vector<engine::OpCase> cases;
  cases.push_back(std::move(check_));
  run_.start(std::move(cases), pipelines(), ++ticket_);
}

void Tuner::take_check(std::span<const u8> bytes) {
  run_.finish(bytes);
  const bool right = run_.result(0).error <= run_.cases()[0].tolerance;
  run_.forget_cases();
  if (right) {
    contenders_.push_back({.candidate = problem().candidates[next_]});
  } else {
    ++refused_;
  }
  ++next_;
  compile_next();
}

// ---- Measuring: in rounds, so that a device that slows down slows all candidates down alike

void Tuner::start_measuring() {
  if (contenders_.size() < 2) {
    close_problem();
    return;
  }
  std::vector<u32> candidates;
  u32 steps = 0;
  for (Contender& each : contenders_) {
    candidates.push_back(each.candidate);
    each.first_step = std::exchange(steps, steps + problem().steps_of(each.candidate));
  }
  run_.prepare(problem().timing(candidates), pipelines());
  run_.forget_cases();
  state_ = State::measuring;
  round_ = 0;
  next_ = 0;
  submit_next();
}

void Tuner::submit_next() {
  while (next_ < contenders_.size() && contenders_[next_].out) ++next_;
  if (next_ == contenders_.size()) {
    end_round();
    return;
  }
  submitted_ms_ = device_.now_ms();
  const Contender& contender = contenders_[next_];
  run_.submit_repeated(contender.times, contender.first_step, problem().steps_of(contender.candidate));
  device_.notify_done(++ticket_);
}

void Tuner::take_time() {
  Contender& contender = contenders_[next_];
  const double us = 1000 * (device_.now_ms() - submitted_ms_) / contender.times;
  // The first round warms up; it counts when it is to be the only one.
  if (contender.best_us == 0 || round_ == 1 || us < contender.best_us) contender.best_us = us;
  if (round_ == 0) contender.times = u32(std::clamp(1000 * round_ms / us, 1.0, double(most_times)));
  ++next_;
  submit_next();
}

void Tuner::end_round() {
  double best = contenders_[0].best_us;
  for (const Contender& each : contenders_) best = std::min(best, each.best_us);
  // The first is the default, which all are compared with.
  for (std::size_t i = 1; round_ > 0 && i < contenders_.size(); ++i)
    contenders_[i].out = contenders_[i].out || contenders_[i].best_us > pruned * best;
  ++round_;
  next_ = 0;
  if (round_ == rounds || (round_ > 1 && time_is_up())) {
    close_problem();
  } else {
    submit_next();
  }
}

void Tuner::close_problem() {
  run_.free_buffers();
  const u32 standard = problem().candidates.front();
  Verdict verdict{.key = problem().key,
                  .standard = kernels::candidate_name(problem().kernel, standard),
                  .measured = u32(contenders_.size()),
                  .refused = refused_};
  for (const Contender& each : contenders_) {
    if (each.best_us > 0)
      verdict.times.push_back({kernels::candidate_name(problem().kernel, each.candidate), each.best_us});
  }
  const auto faster = [](const Contender& a, const Contender& b) { return a.best_us < b.best_us; };
  if (!contenders_.empty() && contenders_[0].best_us > 0) {
    const Contender* best = &*std::min_element(contenders_.begin(), contenders_.end(), faster);
    if (contenders_[0].candidate == standard) {
      verdict.standard_us = contenders_[0].best_us;
      if (best->best_us > worth_it * verdict.standard_us) best = &contenders_[0];
    }
    verdict.chosen = kernels::candidate_name(problem().kernel, best->candidate);
    verdict.chosen_us = best->best_us;
    tuning_.choose(verdict.key, verdict.chosen);
  }
  verdicts_.push_back(std::move(verdict));
  ++problem_;
  state_ = State::next_problem;
}

}  // namespace pronk::tune
