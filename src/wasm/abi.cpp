#include "wasm/abi.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "engine/pooling.h"
#include "gpu/browser.h"
#include "gpu/device.h"
#include "pronk/pronk.h"
#include "text/tokenizer.h"
#include "wasm/instance.h"
#include "wasm/json.h"

namespace pronk::wasm {

namespace {

template <class T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::vector<u32> ids_of(const u8* bytes, u32 count) {
  std::vector<u32> ids(count);
  std::memcpy(ids.data(), bytes, count * sizeof(u32));
  return ids;
}

// Nullopt: as the model was trained.
std::optional<graph::Pooling> pooling_of(i32 kind) {
  switch (PoolingKind(kind)) {
    case pooling_auto:
      return std::nullopt;
    case pooling_mean:
      return graph::Pooling::mean;
    case pooling_cls:
      return graph::Pooling::cls;
    case pooling_last:
      return graph::Pooling::last;
    case pooling_none:
      return graph::Pooling::none;
  }
  return std::nullopt;
}

JsonObject as_json(const MemoryUse& use) {
  JsonObject json;
  json.add("weights", use.weights).add("kv_cache", use.kv_cache).add("activations", use.activations);
  json.add("parameters", use.parameters)
      .add("staging", use.staging)
      .add("readback", use.readback)
      .add("total", use.total());
  return json;
}

Result<std::string> plan(i32 kind, const LoadOptions& options) {
  PRONK_TRY(const gpu::Device* device, choose_device(kind));
  const Model& model = *instance.model;
  PRONK_TRY(const Plan plan,
            model.plan(options, device ? &device->limits() : nullptr, device ? &device->features() : nullptr));
  const MemoryUse& use = plan.memory;
  JsonObject json;
  json.add("device", std::string_view(device ? "webgpu" : "cpu"))
      .add("architecture", model.architecture())
      .add("name", model.name());
  json.add("context_length", plan.context).add("trained_context_length", model.trained_context());
  json.add("largest_context", plan.largest_context)
      .add("fits", plan.fits())
      .add("refusal", std::string_view(plan.refusal))
      .add("refusal_code", i32(plan.refusal_code));
  json.add("vocab_size", model.vocab_size())
      .add("parameters", model.parameter_count())
      .add("file_bytes", model.file_bytes());
  json.add("weights", use.weights).add("kv_cache", use.kv_cache).add("activations", use.activations);
  json.add("activations_lower_bound", plan.activations_lower_bound);
  json.add("parameters_bytes", use.parameters)
      .add("staging", use.staging)
      .add("readback", use.readback)
      .add("total", use.total());
  return json.str();
}

Status load(i32 kind, const LoadOptions& options) {
  if (instance.engine) return fail(ErrorCode::internal, "a model is loaded already");
  PRONK_OK(choose_device(kind));
  auto device = kind == device_cpu ? nullptr : std::move(instance.device);
  PRONK_TRY(instance.engine, Engine::create(instance.model, options, std::move(device)));
  instance.embeds = options.embedding || instance.model->encoder();
  return {};
}

i32 state() {
  if (!instance.engine) return state_empty;
  if (!instance.engine->ready()) return state_loading;
  if (!instance.engine->session().running()) return state_ready;
  if (instance.engine->session().wants_mask()) return state_mask;
  return instance.engine->wants_pump() ? state_again : state_busy;
}

// Takes what rows there are: the engine goes on only after that. False when there were none.
bool take_rows() {
  if (!instance.embedding) return false;
  const std::span<const float> rows = instance.engine->session().next_rows();
  instance.embedding->rows.insert(instance.embedding->rows.end(), rows.begin(), rows.end());
  return !rows.empty();
}

Status embed(std::span<const u32> tokens, i32 pooling, bool normalized) {
  if (!instance.embeds) {
    return fail("the model was loaded to generate text; load it with the option 'embeddings' to embed texts");
  }
  PRONK_TRY(const graph::Pooling chosen, engine::choose_pooling(pooling_of(pooling), instance.model->pooling()));
  PRONK_OK(instance.engine->session().score(tokens, false));
  instance.embedding = {.pooling = chosen, .normalized = normalized, .rows = {}};
  instance.prompt_tokens = u32(tokens.size());
  instance.generated_tokens = 0;
  return {};
}

std::string stats() {
  JsonObject json;
  Engine& engine = *instance.engine;
  json.add("prompt_tokens", instance.prompt_tokens).add("generated_tokens", instance.generated_tokens);
  json.add("reused_tokens", engine.session().reused_tokens()).add("context_length", engine.plan().context);
  const RunCounters run = engine.run_counters();
  JsonObject counters;
  counters.add("dispatches_per_token", run.dispatches_per_token).add("submits_per_token", run.submits_per_token);
  counters.add("buffers_created_after_load", run.buffers_created_after_load);
  counters.add("bind_groups_created_after_load", run.bind_groups_created_after_load);
  counters.add("pipelines_created_after_load", run.pipelines_created_after_load);
  counters.add("readback_bytes_per_token", run.readback_bytes_per_token);
  json.add("counters", counters)
      .add("planned", as_json(engine.planned()))
      .add("allocated", as_json(engine.allocated()));
  json.add("heap_bytes", u64(__builtin_wasm_memory_size(0)) << 16);
  return json.str();
}

}  // namespace
}  // namespace pronk::wasm

using namespace pronk;
using namespace pronk::wasm;

i32 pronk_plan(i32 device, u32 context, i32 keys, i32 values, double budget, i32 embeddings, u32 threads) {
  if (!instance.headers_done) return misused("no header has been read");
  auto text = plan(device, load_options(context, keys, values, budget, embeddings, threads));
  return text ? give(std::move(*text)) : failed(text.error(), ErrorCode::unsupported);
}

i32 pronk_load(i32 device, u32 context, i32 keys, i32 values, double budget, i32 embeddings, u32 threads,
               u32 prefill_chunk) {
  if (!instance.headers_done) return misused("no header has been read");
  LoadOptions options = load_options(context, keys, values, budget, embeddings, threads);
  options.prefill_chunk = prefill_chunk;
  options.tuning = instance.tuning;
  const Status status = load(device, options);
  return status ? 0 : failed(status.error(), ErrorCode::unsupported);
}

u32 pronk_file() { return instance.engine ? instance.engine->file() : 0; }
double pronk_position() {
  return instance.engine && !instance.engine->bytes_done() ? double(instance.engine->position()) : -1;
}
double pronk_stream_end() { return instance.engine ? double(instance.engine->stream_end()) : 0; }
u8* pronk_space() { return instance.engine ? instance.engine->space().data() : nullptr; }
u32 pronk_space_len() { return instance.engine ? u32(instance.engine->space().size()) : 0; }

i32 pronk_commit(u32 bytes) {
  if (!instance.engine || instance.engine->bytes_done()) return misused("no bytes are wanted");
  if (bytes > instance.engine->space().size()) return misused("more bytes than there is space for");
  const Status status = instance.engine->commit(bytes);
  return status ? 0 : failed(status.error(), ErrorCode::bad_model);
}

i32 pronk_pump() {
  if (!instance.engine) return state_empty;
  const Status status = instance.engine->pump();
  if (!status) return failed(status.error(), ErrorCode::internal);
  return take_rows() ? state_again : state();
}

i32 pronk_tokenize(const u8* text, u32 length, u32 flags) {
  if (!instance.headers_done) return misused("no header has been read");
  using Tokenizer = text::Tokenizer;
  const auto bos = flags & tokenize_bos      ? Tokenizer::Bos::on
                   : flags & tokenize_no_bos ? Tokenizer::Bos::off
                                             : Tokenizer::Bos::automatic;
  const auto ids = instance.model->tokenizer().encode(text_of(text, length), {(flags & tokenize_special) != 0, bos});
  if (!ids) return failed(ids.error(), ErrorCode::bad_argument);
  return give(std::string(reinterpret_cast<const char*>(ids->data()), ids->size() * sizeof(u32)));
}

i32 pronk_detokenize(const u8* ids, u32 count) {
  if (!instance.headers_done) return misused("no header has been read");
  return give(instance.model->tokenizer().decode(ids_of(ids, count), true));
}

i32 pronk_vocabulary() {
  if (!instance.headers_done) return misused("no header has been read");
  const text::Tokenizer& tokenizer = instance.model->tokenizer();
  std::string out;
  for (u32 id = 0; id < tokenizer.vocab_size(); id++) {
    const u64 at = out.size();
    out.append(sizeof(u32), '\0');
    tokenizer.append_piece(id, out, false);
    const u32 length = u32(out.size() - at - sizeof(u32));
    std::memcpy(out.data() + at, &length, sizeof length);
  }
  return give(std::move(out));
}

i32 pronk_end_tokens() {
  if (!instance.headers_done) return misused("no header has been read");
  const auto ids = instance.model->tokenizer().end_tokens();
  return give(std::string(reinterpret_cast<const char*>(ids.data()), ids.size_bytes()));
}

i32 pronk_chat_template() {
  if (!instance.headers_done) return misused("no header has been read");
  return give(std::string(instance.model->tokenizer().chat_template()));
}

i32 pronk_special(u32 which) {
  if (!instance.headers_done) return misused("no header has been read");
  const text::Tokenizer& tokenizer = instance.model->tokenizer();
  const auto id = which == special_bos ? tokenizer.bos() : tokenizer.eos();
  return give(id ? std::string(tokenizer.spelling(*id)) : std::string());
}

void pronk_adjust(float repetition_penalty, float frequency_penalty, float presence_penalty, const u8* biases,
                  u32 pairs, i32 masked, i32 top_logprobs) {
  GenerateOptions& options = instance.adjust;
  options = {};
  options.sampling.repetition_penalty = repetition_penalty;
  options.sampling.frequency_penalty = frequency_penalty;
  options.sampling.presence_penalty = presence_penalty;
  options.logit_bias.resize(pairs);
  std::memcpy(options.logit_bias.data(), biases, pairs * sizeof options.logit_bias[0]);
  options.masked = masked != 0;
  if (top_logprobs >= 0) options.top_logprobs = u32(top_logprobs);
}

i32 pronk_mask(const u8* words, u32 count) {
  if (!instance.decoder) return misused("no generation is running");
  const Status status = instance.engine->session().mask(ids_of(words, count));
  return status ? 0 : failed(status.error(), ErrorCode::bad_argument);
}

i32 pronk_logprobs() {
  if (!instance.engine) return misused("no model is loaded");
  const auto logprobs = instance.engine->session().logprobs();
  return give(std::string(reinterpret_cast<const char*>(logprobs.data()), logprobs.size_bytes()));
}

i32 pronk_generate(const u8* ids, u32 count, u32 max_tokens, float temperature, u32 top_k, float top_p, float min_p,
                   u32 seed_low, u32 seed_high, i32 ignore_end, u32 resumed) {
  if (!instance.engine || !instance.engine->ready()) return misused("the model is not ready");
  if (instance.decoder || instance.embedding) return misused("a generation or an embedding is still running");
  if (resumed >= count) return misused("a generation that goes on needs the prompt that it began with");
  GenerateOptions options = std::exchange(instance.adjust, {});
  options.max_tokens = max_tokens;
  options.sampling.temperature = temperature;
  options.sampling.top_k = top_k;
  options.sampling.top_p = top_p;
  options.sampling.min_p = min_p;
  options.sampling.seed = u64(seed_high) << 32 | seed_low;
  options.ignore_end = ignore_end != 0;
  options.resumed = resumed;
  const std::vector<u32> tokens = ids_of(ids, count);
  const Status status = instance.engine->session().start(tokens, options);
  if (!status) return failed(status.error(), ErrorCode::bad_argument);
  instance.prompt_tokens = count - resumed;
  instance.generated_tokens = resumed;
  instance.decoder = std::make_unique<text::StreamDecoder>(instance.model->tokenizer());
  for (u32 token : std::span(tokens).last(resumed)) instance.decoder->push(token);  // their text was given before
  return 0;
}

i32 pronk_next() {
  if (!instance.decoder) return next_none;
  Session& session = instance.engine->session();
  std::string out;
  if (u32 token = 0; session.next(token)) {
    ++instance.generated_tokens;
    append(out, token);
    out += instance.decoder->push(token);
    give(std::move(out));
    return next_token;
  }
  if (session.running()) return next_none;
  append(out, u32(session.finish()));
  out += instance.decoder->finish();
  instance.decoder.reset();
  give(std::move(out));
  return next_end;
}

u32 pronk_prefill_chunk() { return instance.engine ? instance.engine->prefill_chunk() : 0; }

i32 pronk_embed(const u8* ids, u32 count, i32 pooling, i32 normalize) {
  if (!instance.engine || !instance.engine->ready()) return misused("the model is not ready");
  if (instance.decoder || instance.embedding) return misused("a generation or an embedding is still running");
  const Status status = embed(ids_of(ids, count), pooling, normalize != 0);
  return status ? 0 : failed(status.error(), ErrorCode::bad_argument);
}

i32 pronk_embedding() {
  if (!instance.embedding || instance.engine->session().running()) return embedding_none;
  const Embedding embedding = std::move(*instance.embedding);
  instance.embedding.reset();
  const std::vector<float> values =
      engine::embedding(embedding.rows, instance.engine->row_width(), embedding.pooling, embedding.normalized);
  give(std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  return embedding_done;
}

i32 pronk_save() {
  if (!instance.engine || !instance.engine->ready()) return misused("the model is not ready");
  const auto head = instance.engine->session().save();
  if (!head) return failed(head.error(), ErrorCode::bad_argument);
  return give(std::string(reinterpret_cast<const char*>(head->data()), head->size()));
}

i32 pronk_saved() {
  if (!instance.engine) return misused("no model is loaded");
  const std::span<const u8> bytes = instance.engine->session().next_saved();
  if (bytes.empty()) return instance.engine->session().running() ? saved_none : saved_all;
  give(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return saved_bytes;
}

double pronk_restore(const u8* head, u32 length) {
  if (!instance.engine || !instance.engine->ready()) return misused("the model is not ready");
  const auto bytes = instance.engine->session().restore({head, length});
  return bytes ? double(*bytes) : failed(bytes.error(), ErrorCode::bad_argument);
}

i32 pronk_put_saved(const u8* bytes, u32 length) {
  if (!instance.engine) return misused("no model is loaded");
  const Status status = instance.engine->session().put_saved({bytes, length});
  return status ? 0 : failed(status.error(), ErrorCode::bad_argument);
}

void pronk_cancel() {
  if (!instance.engine) return;
  instance.engine->session().cancel();
  instance.embedding.reset();
}

i32 pronk_stats() { return instance.engine ? give(stats()) : misused("no model is loaded"); }
