#include "engine/gpu_runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "base/half.h"
#include "cpu/logprobs.h"
#include "engine/self_test.h"
#include "formats/additive.h"

namespace pronk::engine {
namespace {

using gpu::MemoryKind;
using graph::WeightId;

constexpr u64 scratch_bytes = StagedLoader::row_bytes_limit + 64;
constexpr u32 most_chunks_in_flight = 2;
constexpr u32 chunk_ticket = 1u << 30, score_ticket = 2u << 30, test_ticket = 3u << 30;  // below: the slot of a token
constexpr u32 upload_ticket = chunk_ticket + 1, save_ticket = chunk_ticket + 2;

// A device's text, which may have lines of its own.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace_if(text.begin(), text.end(), [](char c) { return u8(c) < 0x20; }, ' ');
  return text;
}

}  // namespace

GpuRunner::GpuRunner(const models::Model& model, GpuPlan plan, gpu::Device& device, bool self_test, u32 first_chunk,
                     u32 first_steps)
    : model_(model),
      plan_(std::move(plan)),
      device_(device),
      tested_(!self_test),
      features_(device.features()),
      test_(device),
      scratch_(scratch_bytes),
      pace_(first_chunk, plan_.options.chunk),
      decode_pace_(first_steps) {
  for (const gpu::PipelineDesc& desc : plan_.pipelines) pipelines_.push_back(device_.create_pipeline(desc));
  pipelines_pending_ = u32(pipelines_.size());
  for (const graph::RopeTable& rope : model_.graph.ropes) {
    if (const WeightId id = rope.factors_at(plan_.options.context); id != WeightId::none) factors_[id];
  }
  reads_.resize(plan_.token_readback.size() + 1);
}

// Not before there is something to write: until then the device's compiler can have the memory.
void GpuRunner::create_buffers() {
  if (!buffers_.empty()) return;
  for (const gpu::BufferDesc& desc : plan_.buffers) buffers_.push_back(device_.create_buffer(desc));
  prefill_ = prepare(plan_.prefill);
  decode_ = prepare(plan_.decode);
  blocks_ = prepare(plan_.blocks);
  adjusted_blocks_ = prepare(plan_.adjusted_blocks);
  greedy_ = prepare(plan_.greedy);
  sampling_ = prepare(plan_.sampling);
  for (const auto& [range, bytes] : plan_.constants) write_range(range, bytes.data(), bytes.size());
}

GpuRunner::Program GpuRunner::prepare(const std::vector<Dispatch>& dispatches) {
  Program program;
  for (const Dispatch& dispatch : dispatches) {
    std::vector<gpu::BufferRange> ranges;
    for (const Range& range : dispatch.bindings) ranges.push_back(resolve(range));
    program.push_back({device_.create_bind_group(pipelines_[dispatch.kernel.pipeline], ranges), &dispatch});
  }
  return program;
}

gpu::BufferRange GpuRunner::resolve(const Range& range) const {
  return {buffers_[range.buffer], range.offset, align_up(range.size, 4)};
}

void GpuRunner::write_range(const Range& range, const void* bytes, u64 size, u64 offset) {
  CHECK(offset + size <= align_up(range.size, 16));
  device_.write_buffer(buffers_[range.buffer], range.offset + offset,
                       std::span(static_cast<const u8*>(bytes), std::size_t(size)));
}

// ---- Weights

void GpuRunner::write(WeightId weight, u64 first_block, u64 blocks, const u8* bytes, u32 planes) {
  create_buffers();
  std::vector<float> numbers;  // of what additive matrices need besides their codes
  const auto decoded = [&] {
    const formats::Format& format = *model_.graph[weight].format;
    numbers.resize(blocks * format.block_weights);
    format.decode(bytes, blocks, numbers.data());
    return std::span<const float>(numbers);
  };
  for (const Matrix& matrix : plan_.weights.matrices) {
    const graph::Weight& first = model_.graph[matrix.sources.front()];
    const u64 at = first_block * model_.graph[weight].format->block_weights;
    if (first.books == weight) write_books(matrix, at, decoded());
    if (first.scales == weight) write_scales(matrix, at, decoded());
    for (u32 source = 0; source < matrix.sources.size(); ++source) {
      if (matrix.sources[source] == weight) write_matrix(matrix, source, {first_block, blocks, bytes, planes});
    }
  }
  const formats::Format& format = *model_.graph[weight].format;
  for (const Vector& vector : plan_.weights.vectors) {
    if (std::find(vector.sources.begin(), vector.sources.end(), weight) != vector.sources.end()) {
      write_vector(vector, weight, first_block * format.block_weights, blocks * format.block_weights, bytes);
    }
  }
  if (const auto at = factors_.find(weight); at != factors_.end()) {
    at->second.resize((first_block + blocks) * format.block_weights);
    format.decode(bytes, blocks, at->second.data() + first_block * format.block_weights);
  }
  mark_uploads();
}

void GpuRunner::mark_uploads() {
  const u64 uploaded = device_.counters().uploaded_bytes;
  if (uploaded - marked_bytes_ < upload_mark_bytes) return;
  marked_bytes_ = uploaded;
  ++upload_marks_;
  device_.notify_done(upload_ticket);
}

// Cuts a run of a source's blocks where the matrix is cut, and places each piece.
void GpuRunner::write_matrix(const Matrix& matrix, u32 source, const BlockRun& run) {
  const u64 row_blocks = matrix.cols / matrix.format->block_weights;
  u64 rows_before = 0;  // of the joined matrix, before this source
  for (u32 s = 0; s < source && !matrix.paired; ++s) rows_before += model_.graph[matrix.sources[s]].rows;
  const u64 begin = rows_before * row_blocks + run.first_block, end = begin + run.blocks;
  for (const MatrixPart& part : matrix.parts) {
    const u64 part_begin = part.first_row * row_blocks, part_end = part_begin + part.rows * row_blocks;
    const u64 from = std::max(begin, part_begin), to = std::min(end, part_end);
    if (from >= to) continue;
    const u64 before_in_part = matrix.paired ? source * part.rows * row_blocks : 0;
    write_blocks(matrix, part,
                 {before_in_part + from - part_begin, to - from,
                  run.bytes + (from - begin) * matrix.format->block_bytes, run.planes});
  }
}

// Repacks as much as the scratch holds and writes it, until all is written. Padded rows come whole and have one plane.
void GpuRunner::write_blocks(const Matrix& matrix, const MatrixPart& part, const BlockRun& run) {
  auto [to_block, blocks, bytes, wanted] = run;
  const formats::Format& format = *matrix.format;
  const u64 row_blocks = matrix.cols / format.block_weights;
  const u64 padded_blocks = gpu_row_weights(format, matrix.cols) / format.block_weights;
  const bool padded = padded_blocks != row_blocks;
  const u64 unit = padded ? padded_blocks : 4;
  const u64 units_at_once = scratch_bytes / (unit * format.block_bytes + 4 * format.gpu.plane_count);
  CHECK(units_at_once > 0 && (!padded || format.gpu.plane_count == 1));
  while (blocks > 0) {
    const u64 count = std::min(blocks, units_at_once * (padded ? row_blocks : unit));
    const u64 written = padded ? count / row_blocks * padded_blocks : count;
    const u64 at = padded ? to_block / row_blocks * padded_blocks : to_block;
    u8* planes[formats::max_planes] = {};
    u8* end = scratch_.data();
    for (u32 p = 0; p < format.gpu.plane_count; ++p) {
      planes[p] = end;
      end += align_up(written * format.gpu.plane_bytes[p], 4);
    }
    std::memset(scratch_.data(), 0, std::size_t(end - scratch_.data()));
    for (u64 done = 0; padded && done < count; done += row_blocks) {
      format.repack(bytes + done * format.block_bytes, row_blocks, planes);
      planes[0] += padded_blocks * format.gpu.plane_bytes[0];
    }
    if (!padded) format.repack(bytes, count, planes);
    const u8* from = scratch_.data();
    for (u32 p = 0; p < format.gpu.plane_count; ++p) {
      const u64 size = align_up(written * format.gpu.plane_bytes[p], 4);
      const u64 to = part.extent.plane_offset[p] + at * format.gpu.plane_bytes[p];
      if (wanted >> p & 1) write_range(part.range, from, size, to);
      from += size;
    }
    bytes += count * format.block_bytes;
    to_block += count;
    blocks -= count;
  }
}

void GpuRunner::write_books(const Matrix& matrix, u64 first, std::span<const float> numbers) {
  std::vector<u16> halves(numbers.size());
  std::ranges::transform(numbers, halves.begin(), f32_to_f16);
  for (const MatrixPart& part : matrix.parts) {
    write_range(part.range, halves.data(), halves.size() * sizeof(u16),
                part.extent.plane_offset[1] + first * sizeof(u16));
  }
}

void GpuRunner::write_scales(const Matrix& matrix, u64 first, std::span<const float> numbers) {
  const u64 first_row = model_.graph[matrix.sources.front()].first_row, end = first + numbers.size();
  for (const MatrixPart& part : matrix.parts) {
    const u64 part_begin = first_row + part.first_row;
    const u64 from = std::max(first, part_begin), to = std::min(end, part_begin + part.rows);
    if (from >= to) continue;
    write_range(part.range, numbers.data() + (from - first), (to - from) * sizeof(float),
                part.extent.plane_offset[2] + (from - part_begin) * sizeof(float));
  }
}

void GpuRunner::write_vector(const Vector& vector, WeightId weight, u64 first, u64 count, const u8* bytes) {
  const formats::Format& format = *model_.graph[weight].format;
  std::vector<float> values(count);
  format.decode(bytes, count / format.block_weights, values.data());
  for (float& value : values) value += model_.graph[weight].added;
  u64 offset = 0;
  for (std::size_t s = 0; s < vector.sources.size(); ++s) {
    if (vector.sources[s] == weight)
      write_range(vector.range, values.data(), count * sizeof(float), (offset + first) * sizeof(float));
    offset += vector.lengths[s];
  }
}

Status GpuRunner::weights_done() {
  create_buffers();
  for (const auto& [weight, factors] : factors_) {
    if (std::find(factors.begin(), factors.end(), 0.0f) == factors.end()) continue;
    return fail(ErrorCode::bad_model, "tensor '" + model_.graph[weight].name + "' holds a zero");
  }
  for (std::size_t i = 0; i < plan_.rope_tables.size(); ++i) {
    const graph::RopeTable& rope = model_.graph.ropes[i];
    const WeightId id = rope.factors_at(plan_.options.context);
    const std::span<const float> factors = id == WeightId::none ? std::span<const float>() : factors_.at(id);
    const auto table = kernels::rope_table(rope, factors, plan_.options.context);
    write_range(plan_.rope_tables[i], table.data(), table.size() * sizeof(float));
  }
  weights_done_ = true;
  return {};
}

// ---- Events

Status GpuRunner::pump() {
  // A lost device fails everything else too: of several errors the loss is the one to tell.
  Status status;
  for (gpu::Event event; device_.next_event(event);) {
    Status taken = take_in(event);
    if (!taken && (status || event.kind == gpu::Event::Kind::device_lost)) status = std::move(taken);
  }
  if (status && pipelines_pending_ == 0 && !tested_ && !test_.running()) start_self_test();
  measure_chunks();
  if (!status || !ready()) return status;
  if (phase_ == Phase::prefill) submit_chunks();
  if (phase_ == Phase::decode) submit_steps();
  if (phase_ == Phase::score) submit_score();
  if (phase_ == Phase::save) submit_save();
  return {};
}

Status GpuRunner::take_in(const gpu::Event& event) {
  using Kind = gpu::Event::Kind;
  switch (event.kind) {
    case Kind::pipeline_ready:
      --pipelines_pending_;
      return {};
    case Kind::pipeline_failed: {
      const auto at = std::find(pipelines_.begin(), pipelines_.end(), gpu::PipelineId(event.id));
      const std::string label = at == pipelines_.end() ? "?" : plan_.pipelines[u64(at - pipelines_.begin())].label;
      return fail(ErrorCode::device_failed, "the device refused kernel '" + label + "': " + one_line(event.message));
    }
    case Kind::buffer_failed:
      memory_refused_ = true;
      return fail(ErrorCode::out_of_memory, "the device refused memory: " + one_line(event.message));
    case Kind::read_done:
      if (event.id == test_ticket) return end_self_test(event.bytes);
      if (event.id == score_ticket) {
        rows_.resize(event.bytes.size() / sizeof(float));
        std::memcpy(rows_.data(), event.bytes.data(), event.bytes.size());
        rows_ready_ = score_generation_ == generation_;
        score_generation_ = 0;
      } else if (event.id == save_ticket) {
        if (save_generation_ == generation_) saved_ = event.bytes;
        save_generation_ = 0;
      } else {
        token_read(event.id, event.bytes);
        return take_tokens();
      }
      return {};
    case Kind::work_done:
      if (event.id == chunk_ticket) {
        done_chunks_.push_back(chunks_.front());
        chunks_.pop_front();
      } else {
        --upload_marks_;
      }
      return {};
    case Kind::read_failed:
      return fail(ErrorCode::device_failed, "the device failed to read back: " + one_line(event.message));
    case Kind::error:
      return fail(ErrorCode::device_failed, "the device reported an error: " + one_line(event.message));
    case Kind::device_lost:
      return fail(ErrorCode::device_lost, "the device was lost: " + one_line(event.message));
  }
  return {};
}

// ---- The self-test, as soon as the pipelines are there, while weights may still be on their way

void GpuRunner::start_self_test() {
  const auto pipeline = [this](const gpu::PipelineDesc& kernel) {
    const auto same = [&](const gpu::PipelineDesc& each) { return each.label == kernel.label; };
    const auto at = std::find_if(plan_.pipelines.begin(), plan_.pipelines.end(), same);
    CHECK(at != plan_.pipelines.end());
    return pipelines_[u64(at - plan_.pipelines.begin())];
  };
  test_.start(self_test_cases(model_, plan_, device_.limits(), features_), pipeline, test_ticket);
}

Status GpuRunner::end_self_test(std::span<const u8> bytes) {
  test_.finish(bytes);
  const Status verdict = self_test_verdict(test_, device_.info());
  test_.forget_cases();
  if (verdict) tested_ = true;
  if (!verdict && (features_.subgroups || plan_.options.tuning)) {
    use_safer_kernels();  // and they are tested in their turn
    return {};
  }
  return verdict;
}

namespace {

// The same dispatches by other kernels, of which none splits anything: programs point at them.
void take_kernels(std::vector<Dispatch>& dispatches, const std::vector<Dispatch>& others) {
  auto other = others.begin();
  for (Dispatch& dispatch : dispatches) {
    if (dispatch.tokens == Tokens::many) {
      dispatch.tokens = Tokens::none;
      continue;
    }
    CHECK(other != others.end() && dispatch.bindings.size() == other->bindings.size());
    dispatch.kernel = other->kernel;
    dispatch.small_batch = other->small_batch;
    dispatch.tokens = other->tokens;
    ++other;
  }
  CHECK(other == others.end());
}

}  // namespace

// The plan of a device without optional features and measured choices has the same bindings; some of its kernels and
// grids are others. Its activations may take less: what is there stays.
void GpuRunner::use_safer_kernels() {
  features_ = {};
  plan_.options.tuning = nullptr;
  auto safer = plan_gpu(model_, plan_.options, device_.limits(), features_);
  CHECK(safer);
  std::vector<gpu::PipelineId> pipelines;
  for (const gpu::PipelineDesc& desc : safer->pipelines) {
    const auto same = [&](const gpu::PipelineDesc& each) { return each.label == desc.label; };
    const auto at = std::find_if(plan_.pipelines.begin(), plan_.pipelines.end(), same);
    const bool there = at != plan_.pipelines.end();
    pipelines.push_back(there ? pipelines_[u64(at - plan_.pipelines.begin())] : device_.create_pipeline(desc));
    pipelines_pending_ += !there;
  }
  pipelines_ = std::move(pipelines);
  plan_.pipelines = std::move(safer->pipelines);
  for (const auto program : {&GpuPlan::prefill, &GpuPlan::decode, &GpuPlan::blocks, &GpuPlan::adjusted_blocks,
                             &GpuPlan::greedy, &GpuPlan::sampling})
    take_kernels(plan_.*program, (*safer).*program);
}

// ---- A run

void GpuRunner::start(Run run) {
  CHECK(ready() && finished() && !run.tokens.empty());
  CHECK(run.position + run.tokens.size() <= plan_.options.context);
  run_ = std::move(run);
  ++generation_;
  tokens_.clear();
  fed_ = submitted_ = received_ = 0;
  decode_pace_.start();
  forward_ = false;
  mask_.reset();
  counters_at_decode_.reset();
  go_back(run_.position);
  phase_ = Phase::prefill;
}

// ---- Going back. What is submitted runs in order: steps of an earlier run that are still in flight are done with
// before anything of this one.

// Whether a run can go on there: nothing that it will look back at has been written over.
bool GpuRunner::resumes_at(u32 position) const {
  if (position == 0) return true;
  if (position > cached_) return false;
  const u32 most_back = plan_.slack();
  for (const graph::State& state : model_.graph.states) {
    const auto* kv = std::get_if<graph::KvState>(&state);
    if (!kv) {
      if (recurrent_at_ != position && !checkpoints_.find(position)) return false;
    } else if (graph::kv_capacity(*kv, plan_.options.context, plan_.slack()) < plan_.options.context &&
               written_ > position + most_back) {
      return false;
    }
  }
  return true;
}

u32 GpuRunner::resumable(u32 position) const {
  u32 best = std::min(position, cached_);
  if (model_.graph.recurrent()) {
    const bool stands = recurrent_at_ && *recurrent_at_ <= best;
    best = std::max(stands ? *recurrent_at_ : 0, checkpoints_.last(best));
  }
  return resumes_at(best) ? best : 0;
}

// Before a run begins at its position.
void GpuRunner::go_back(u32 position) {
  CHECK(resumes_at(position));
  cached_ = position;
  if (position == 0) written_ = 0;  // all is written anew
  checkpoints_.forget_after(position);
  if (position > 0 && recurrent_at_ != position && !plan_.checkpoints.empty()) {
    const u32 from = *checkpoints_.find(position);
    device_.begin();
    for (const auto& [state, copies] : plan_.checkpoints) {
      device_.copy_buffer(buffers_[copies[from]], 0, buffers_[state], 0, plan_.buffers[state].size);
    }
    device_.submit();
  }
  recurrent_at_ = position;
}

// Behind what has been recorded.
void GpuRunner::keep_states(std::optional<u32> copy) {
  if (!copy) return;
  for (const auto& [state, copies] : plan_.checkpoints) {
    device_.copy_buffer(buffers_[state], 0, buffers_[copies[*copy]], 0, plan_.buffers[state].size);
  }
}

void GpuRunner::start_scoring(std::vector<u32> tokens, bool by_steps) {
  CHECK(ready() && finished() && plan_.options.all_logits);
  CHECK(!tokens.empty() && tokens.size() <= plan_.options.context);
  run_ = {};
  run_.tokens = std::move(tokens);
  ++generation_;
  fed_ = 0;
  counters_at_decode_.reset();
  cached_ = written_ = 0;
  recurrent_at_.reset();
  checkpoints_.forget_after(0);
  by_steps_ = by_steps && !decode_.empty();
  rows_ready_ = false;
  phase_ = Phase::score;
}

void GpuRunner::cancel() {
  tokens_.clear();
  saved_.clear();
  rows_ready_ = false;
  ++generation_;
  phase_ = Phase::idle;
}

bool GpuRunner::finished() const { return phase_ == Phase::idle && tokens_.empty() && !rows_ready_; }

bool GpuRunner::next(Sampled& sampled) {
  if (tokens_.empty()) return false;
  sampled = std::move(tokens_.front());
  tokens_.pop_front();
  return true;
}

void GpuRunner::replay(std::span<const Command> program, u32 rows, bool small_batch) {
  for (const Command& command : program) {
    const Kernel* kernel = command.dispatch->kernel_for(small_batch);
    if (!kernel) continue;
    const kernels::Grid grid = kernel->grid_for(rows);
    device_.dispatch(pipelines_[kernel->pipeline], command.group, grid.x, grid.y, grid.z);
  }
}

// All but the end of the last of its parts, to which more may be added.
void GpuRunner::submit_chunk(u32 rows, bool small_batch, u32 parts) {
  kernels::StepState state;
  state.position = run_.position + fed_;
  state.rows = rows;
  write_range(plan_.prefill_state, &state, sizeof state);
  write_range(plan_.prefill_tokens, run_.tokens.data() + fed_, rows * 4);
  const std::span<const Command> all(prefill_);
  parts = std::min(parts, u32(all.size()));
  for (u32 part = 0; part < parts; ++part) {
    if (part > 0) device_.submit();
    device_.begin();
    const std::size_t first = all.size() * part / parts, end = all.size() * (part + 1) / parts;
    replay(all.subspan(first, end - first), rows, small_batch);
  }
  fed_ += rows;
  wrote_to(run_.position + fed_);
}

// All but the last token of the prompt go through in chunks; the last one is the first decode step.
void GpuRunner::submit_chunks() {
  const u32 wanted = u32(run_.tokens.size()) - 1;
  // The rest of a long prompt takes the kernels of its full chunks: what is computed must not depend on where it is
  // cut.
  const bool small_batch = std::min(pace_.tokens(), wanted) <= kernels::batch_limit;
  // Where one is slow, another behind it would only delay who cancels.
  while (fed_ < wanted && chunks_.size() < (pace_.parts() > 1 ? 1 : most_chunks_in_flight)) {
    const u32 rows = std::min(pace_.tokens(), wanted - fed_);
    submit_chunk(rows, small_batch, pace_.parts());
    recurrent_at_ = run_.position + fed_;
    keep_states(fed_ == wanted ? checkpoints_.end_prompt(*recurrent_at_) : checkpoints_.follow(*recurrent_at_));
    device_.submit();
    chunks_.push_back({rows, device_.now_ms()});
    device_.notify_done(chunk_ticket);
    cached_ = run_.position + fed_;
  }
  if (fed_ < wanted) return;
  const auto copy = checkpoints_.end_prompt(run_.position + fed_);
  if (copy && !plan_.checkpoints.empty()) {
    device_.begin();
    keep_states(copy);
    device_.submit();
  }
  begin_decode();
}

// Chunks that are told of together have shared the time since the last one was done, or since they were submitted.
void GpuRunner::measure_chunks() {
  if (done_chunks_.empty()) return;
  const double now = device_.now_ms(), begin = std::max(done_chunks_.front().submitted_ms, chunk_done_ms_);
  u32 largest = 0;
  for (const Chunk& chunk : done_chunks_) largest = std::max(largest, chunk.tokens);
  pace_.took(largest, (now - begin) / double(done_chunks_.size()));
  chunk_done_ms_ = now;
  done_chunks_.clear();
}

void GpuRunner::begin_decode() {
  const u32 position = run_.position + fed_;
  run_.count = std::min(run_.count, plan_.options.context - position);
  kernels::StepState state;
  state.position = position;
  state.rows = 1;
  state.step = run_.first_step;
  state.remaining = run_.count;
  write_range(plan_.decode_state, &state, sizeof state);
  write_range(plan_.next_token, &run_.tokens.back(), 4);

  const u32 end_count = u32(std::min<std::size_t>(run_.end_tokens.size(), max_end_tokens));
  const kernels::SampleParams p =
      kernels::sample_params(run_.sampling, plan_.output_width, plan_.options.context, end_count);
  write_range(plan_.sample_params, &p, sizeof p);
  if (p.end_count > 0) write_range(plan_.end_tokens, run_.end_tokens.data(), p.end_count * 4);
  if (!run_.adjustments.empty()) write_adjustments();
  phase_ = run_.count > 0 ? Phase::decode : Phase::idle;
  if (run_.count > 0) counters_at_decode_ = device_.counters();
}

void GpuRunner::write_adjustments() {
  CHECK(run_.adjustments.size() == plan_.output_width);
  const kernels::AdjustParams p = kernels::adjust_params(run_.sampling, run_.first_step, run_.masked);
  write_range(plan_.adjust_params, &p, sizeof p);
  write_range(plan_.adjustments, run_.adjustments.data(), run_.adjustments.size() * sizeof run_.adjustments[0]);
}

void GpuRunner::submit_steps() {
  if (run_.masked || run_.top_logprobs) return submit_step_in_parts();
  const u32 at_once = decode_pace_.steps_a_read();
  for (u32 slot = 0; slot < logits_slot() && submitted_ < run_.count; ++slot) {
    if (reads_[slot].generation != 0 || steps_in_flight() + at_once > decode_pace_.steps()) continue;
    const u32 steps = std::min(at_once, run_.count - submitted_);
    for (u32 i = 0; i < steps; ++i) submit_step(buffers_[plan_.token_readback[slot]], i * 4);
    read_tokens(slot, steps);
  }
}

// With a mask or log probabilities one step at a time, in two parts: as far as its logits, and the rest, which may have
// to wait for the mask.
void GpuRunner::submit_step_in_parts() {
  const u32 slot = run_.top_logprobs ? logits_slot() : 0;
  if (reads_[slot].generation != 0 || submitted_ == run_.count) return;
  if (!forward_) begin_forward();
  if (run_.masked && !mask_) return;
  if (run_.top_logprobs) {
    submit_step(buffers_[plan_.logits_readback], logits_bytes());
  } else {
    submit_step(buffers_[plan_.token_readback[slot]], 0);
  }
  read_tokens(slot, 1);
}

void GpuRunner::begin_forward() {
  device_.begin();
  replay(decode_, 1, true);
  keep_states(checkpoints_.follow(run_.position + fed_ + submitted_ + 1));
  if (run_.top_logprobs) {  // before they are adjusted
    const Range& logits = plan_.output;
    device_.copy_buffer(buffers_[logits.buffer], logits.offset, buffers_[plan_.logits_readback], 0, logits_bytes());
  }
  device_.submit();
  forward_ = true;
  wrote_to(run_.position + fed_ + submitted_ + 1);
  recurrent_at_.reset();
}

bool GpuRunner::wants_mask() const { return phase_ == Phase::decode && forward_ && !mask_ && tokens_.empty(); }

void GpuRunner::mask(std::vector<u32> allowed) {
  CHECK(wants_mask());
  if (allowed.empty()) allowed.assign(kernels::mask_bytes(plan_.output_width) / 4, ~0u);
  mask_ = std::move(allowed);
}

// The token goes to where the read-back buffer has a place for it.
void GpuRunner::submit_step(gpu::BufferId readback, u64 offset) {
  if (mask_) write_range(plan_.mask, mask_->data(), mask_->size() * 4);
  mask_.reset();
  device_.begin();
  const bool from_begin = !std::exchange(forward_, false);
  if (from_begin) replay(decode_, 1, true);
  replay(run_.adjustments.empty() ? blocks_ : adjusted_blocks_, 1, true);
  replay(graph::is_greedy(run_.sampling) ? greedy_ : sampling_, 1, true);
  device_.copy_buffer(buffers_[plan_.sampled.buffer], plan_.sampled.offset, readback, offset, 4);
  if (from_begin) keep_states(checkpoints_.follow(run_.position + fed_ + submitted_ + 1));
  device_.submit();
  ++submitted_;
  wrote_to(run_.position + fed_ + submitted_);
  recurrent_at_.reset();
}

void GpuRunner::read_tokens(u32 slot, u32 steps) {
  const bool logits = slot == logits_slot();
  const gpu::BufferId readback = buffers_[logits ? plan_.logits_readback : plan_.token_readback[slot]];
  device_.read(readback, 0, (logits ? logits_bytes() : 0) + steps * 4, slot);
  reads_[slot] = {.generation = generation_, .steps = steps, .submitted_ms = device_.now_ms()};
  read_order_.push_back(slot);
}

void GpuRunner::token_read(u32 slot, std::span<const u8> bytes) {
  TokenRead& read = reads_[slot];
  if (slot == logits_slot()) {
    logits_.resize(plan_.output_width);
    std::memcpy(logits_.data(), bytes.data(), logits_.size() * sizeof(float));
    bytes = bytes.subspan(logits_bytes());
  }
  std::memcpy(read.tokens.data(), bytes.data(), read.steps * 4);
  read.arrived = true;
}

// Reads may finish in any order; tokens come out in the order of their steps.
Status GpuRunner::take_tokens() {
  while (!read_order_.empty() && reads_[read_order_.front()].arrived) {
    const TokenRead read = std::exchange(reads_[read_order_.front()], {});
    read_order_.pop_front();
    if (read.generation != generation_) continue;
    const bool ahead = !run_.masked && !run_.top_logprobs;
    for (u32 i = 0; i < read.steps && phase_ == Phase::decode; ++i) PRONK_OK(take_token(read.tokens[i]));
    if (ahead && phase_ == Phase::decode)
      decode_pace_.arrived(received_, submitted_, read.submitted_ms, device_.now_ms());
  }
  return {};
}

Status GpuRunner::take_token(u32 token) {
  if (token == kernels::bad_logits) return no_token(run_);
  cached_ = run_.position + u32(run_.tokens.size()) + received_;
  ++received_;
  if (token != kernels::no_token) {
    tokens_.push_back({token});
    if (run_.top_logprobs) tokens_.back().logprobs = cpu::logprobs(logits_, token, *run_.top_logprobs);
  }
  const auto& ends = run_.end_tokens;
  const bool ended = token == kernels::no_token || std::find(ends.begin(), ends.end(), token) != ends.end();
  if (ended || received_ == run_.count) {
    phase_ = Phase::idle;
    const bool stopped = submitted_ == received_ || ends.size() <= max_end_tokens;  // steps behind an end do nothing
    if (stopped) recurrent_at_ = cached_;
  }
  return {};
}

u32 GpuRunner::steps_in_flight() const {
  u32 steps = 0;
  for (const TokenRead& read : reads_) steps += read.steps;
  return steps;
}

// ---- Scoring: one chunk or step at a time

void GpuRunner::submit_score() {
  if (score_generation_ != 0 || rows_ready_) return;
  const u32 left = u32(run_.tokens.size()) - fed_;
  if (left == 0) {
    phase_ = Phase::idle;
    return;
  }
  const u32 rows = by_steps_ ? 1 : std::min(plan_.options.chunk, left);
  const u64 row_bytes = u64(plan_.output_stride) * sizeof(float);
  const Range& output = by_steps_ ? plan_.output : plan_.all_outputs;
  if (by_steps_) {
    kernels::StepState state;
    state.position = fed_;
    state.rows = 1;
    write_range(plan_.decode_state, &state, sizeof state);
    write_range(plan_.next_token, &run_.tokens[fed_], 4);
    device_.begin();
    replay(decode_, 1, true);
    ++fed_;
  } else {
    submit_chunk(rows, rows <= kernels::batch_limit);
  }
  const gpu::BufferId readback = buffers_[plan_.output_readback];
  device_.copy_buffer(buffers_[output.buffer], output.offset, readback, 0, rows * row_bytes);
  device_.submit();
  device_.read(readback, 0, rows * row_bytes, score_ticket);
  score_generation_ = generation_;
}

std::span<const float> GpuRunner::next_rows() {
  if (!rows_ready_) return {};
  rows_ready_ = false;
  rows_out_.clear();
  for (u64 row = plan_.output_base; row < rows_.size(); row += plan_.output_stride) {
    rows_out_.insert(rows_out_.end(), &rows_[row], &rows_[row] + plan_.output_width);
  }
  return rows_out_;
}

// ---- Saving and restoring

graph::SavedStates GpuRunner::start_save(u32 position) {
  CHECK(ready() && finished() && !plan_.sampling.empty());
  ++generation_;
  go_back(position);
  graph::SavedStates saved{.position = position, .checkpoints = checkpoints_};
  for (const graph::State& state : model_.graph.states) {
    const auto* kv = std::get_if<graph::KvState>(&state);
    saved.first.push_back(kv ? graph::first_saved(*kv, position, first_row_of(*kv)) : 0);
  }
  saving_ = {model_.graph, plan_.options.kv, saved, plan_.options.context, plan_.slack()};
  phase_ = saving_.done() ? Phase::idle : Phase::save;
  return saved;
}

// The first position whose row no later one has taken.
u32 GpuRunner::first_row_of(const graph::KvState& state) const {
  const u32 capacity = graph::kv_capacity(state, plan_.options.context, plan_.slack());
  return written_ - std::min(written_, capacity);
}

Range GpuRunner::place_of(const graph::StateRun& run) const {
  const GpuPlan::StatePlace& place = plan_.states[run.state];
  Range range = run.part == graph::StatePart::values ? place.values : place.first;
  if (run.part == graph::StatePart::copy) {
    for (const auto& [state, copies] : plan_.checkpoints) {
      if (state == place.first.buffer) range.buffer = copies[run.copy];
    }
  }
  return {range.buffer, range.offset + run.offset, run.bytes};
}

// As much as the buffer for logits takes, which nothing else needs now; a run that was cancelled may still be using it.
void GpuRunner::submit_save() {
  if (save_generation_ != 0 || !saved_.empty() || reads_[logits_slot()].generation != 0) return;
  const gpu::BufferId readback = buffers_[plan_.logits_readback];
  const u64 most = logits_bytes() / 4 * 4;
  u64 filled = 0;
  device_.begin();
  while (filled < most && !saving_.done()) {
    const Range range = place_of(saving_.take(most - filled));
    device_.copy_buffer(buffers_[range.buffer], range.offset, readback, filled, range.size);
    filled += range.size;
  }
  device_.submit();
  device_.read(readback, 0, filled, save_ticket);
  save_generation_ = generation_;
}

std::span<const u8> GpuRunner::next_saved() {
  if (phase_ != Phase::save) return {};
  saved_out_ = std::exchange(saved_, {});
  if (!saved_out_.empty() && saving_.done()) phase_ = Phase::idle;
  return saved_out_;
}

void GpuRunner::forget() {
  CHECK(ready() && finished());
  go_back(0);
}

void GpuRunner::put(const graph::StateRun& run, const u8* bytes) {
  const Range range = place_of(run);
  device_.write_buffer(buffers_[range.buffer], range.offset, {bytes, std::size_t(range.size)});
}

void GpuRunner::restored(const graph::SavedStates& saved) {
  cached_ = written_ = saved.position;
  // Where rows are missing, as if later positions had taken their places.
  for (std::size_t i = 0; i < model_.graph.states.size(); ++i) {
    const auto* kv = std::get_if<graph::KvState>(&model_.graph.states[i]);
    if (!kv || saved.first[i] == 0) continue;
    wrote_to(saved.first[i] + graph::kv_capacity(*kv, plan_.options.context, plan_.slack()));
  }
  recurrent_at_ = saved.position;
  checkpoints_ = saved.checkpoints;
}

// ---- Memory

MemoryUse planned_memory(const GpuPlan& plan) {
  return {.weights = plan.bytes(MemoryKind::weights),
          .kv_cache = plan.bytes(MemoryKind::kv_cache),
          .activations = plan.bytes(MemoryKind::activations),
          .parameters = plan.bytes(MemoryKind::parameters),
          .staging = scratch_bytes,
          .readback = plan.bytes(MemoryKind::readback)};
}

MemoryUse GpuRunner::planned() const { return planned_memory(plan_); }

MemoryUse GpuRunner::allocated() const {
  const auto& bytes = device_.counters().bytes;
  return {.weights = bytes[u64(MemoryKind::weights)],
          .kv_cache = bytes[u64(MemoryKind::kv_cache)],
          .activations = bytes[u64(MemoryKind::activations)],
          .parameters = bytes[u64(MemoryKind::parameters)],
          .staging = scratch_.size(),
          .readback = bytes[u64(MemoryKind::readback)]};
}

}  // namespace pronk::engine
