// pronk: runs language models from GGUF files and Hugging Face folders on WebGPU or the CPU. The whole public interface
// of the C++ engine.
//
// Nothing here waits. The caller moves bytes in, calls pump() after each event of its event loop (natively: after
// gpu::wait), and takes tokens out. Errors are values with one line of text.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "engine/memory_use.h"
#include "graph/activations.h"
#include "graph/kv_type.h"
#include "graph/pooling.h"
#include "graph/run_cost.h"
#include "graph/sampling.h"

namespace pronk {

namespace gpu {
class Device;
struct Limits;
struct Features;
}  // namespace gpu
namespace kernels {
class Tuning;
}
namespace tune {
class Tuner;
}
namespace text {
class Tokenizer;
}

// What the device was asked for, counted in the device layer. All zero on the CPU.
struct RunCounters {
  double dispatches_per_token = 0, submits_per_token = 0,
         readback_bytes_per_token = 0;  // of the last run's decode steps
  u64 buffers_created_after_load = 0, bind_groups_created_after_load = 0, pipelines_created_after_load = 0;
};

struct LoadOptions {
  u32 context = 0;               // tokens; 0: what the model was trained for, at most 4096, of an encoder 512
  bool largest_context = false;  // instead: as many as fit, at most what the model was trained for
  u64 budget = 0;                // bytes that everything may take; 0: as much as the device allows
  graph::KvTypes kv = graph::KvType::f16;
  graph::Activations activations = graph::Activations::q8;  // on the CPU
  u32 threads = 0;                                          // of the CPU; 0: as many as suit the machine
  u32 prefill_chunk = 0;   // tokens of the first submission of a prompt to a GPU; 0: the default. See Engine
  bool scoring = false;    // Session::score() will be used: memory for the logits of whole chunks
  bool embedding = false;  // Session::score() gives hidden states, as that of an encoder always does, and nothing
                           // is generated
  std::shared_ptr<const kernels::Tuning> tuning = nullptr;  // kernels of a GPU as measured on it (src/tune)
  bool self_test = true;  // before it is ready, compare the device's arithmetic with the CPU's (tens of milliseconds)
};

// What loading would take, and whether it can be. Made from headers alone.
struct Plan {
  u32 context = 0;                  // tokens
  MemoryUse memory;                 // at that context
  u64 activations_lower_bound = 0;  // the most that is alive at one time; 0 on the CPU
  u32 largest_context = 0;          // that fits, at most what the model was trained for; 0: none does
  std::string refusal;              // one line on what is in the way; empty: it fits
  // The kind of error that the refusal is.
  ErrorCode refusal_code = ErrorCode::out_of_memory;

  bool fits() const { return refusal.empty(); }
};

// Names of all parts of a split model in order, from the name of any ("…-00001-of-00003.gguf"); else the name alone.
std::vector<std::string> split_file_names(std::string_view name);

// A model's header: everything but the weights. Immutable once complete.
class Model {
 public:
  Model();
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  // A folder of Hugging Face's or MLC's comes first with those of these files that it has, each whole and in this
  // order; one of the two that are the first may not be missing. Then come those that they name. What follows are the
  // headers of weight_files(): of MLC's, which have none, any bytes.
  static std::span<const std::string_view> folder_files();
  static std::span<const std::string_view> named_files(std::string_view name, std::string_view contents);
  Status add_file(std::string_view name, std::string contents);
  std::span<const std::string> weight_files() const;  // of a folder: paths in it
  std::string_view weight_md5(u32 file) const;        // in hex, where the folder tells it; else empty

  // Gives the first bytes of a file (split files in order; file_size may be unknown: ~0). Returns 0 when the header is
  // complete, else how many bytes from the start to call again with.
  Result<u64> add_header(u32 file, std::span<const u8> prefix, u64 file_size);
  u32 file_count() const;  // of a folder; else known once the first header is complete
  // Reads architecture and tokenizer after the last header. A file without tensors is an error here.
  Status finish_headers();

  std::string_view architecture() const;
  std::string_view name() const;  // general.name, may be empty
  u32 vocab_size() const;
  u32 trained_context() const;
  bool encoder() const;            // every token sees all others: it makes embeddings or scores, not text
  graph::Pooling pooling() const;  // of hidden states into an embedding, as it was trained for
  u64 parameter_count() const;
  u64 file_bytes() const;  // tensor data of all files
  const text::Tokenizer& tokenizer() const;

  // limits, features: of the GPU, or null for the CPU. Not to fit is no error; absurd options are.
  Result<Plan> plan(const LoadOptions& options, const gpu::Limits* limits, const gpu::Features* features) const;

 private:
  friend class Engine;
  friend class tune::Tuner;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

struct GenerateOptions {
  u32 max_tokens = 128;
  graph::SamplingParams sampling;  // greedy by default
  bool ignore_end = false;         // go on after an end token
  // The last so many tokens of the prompt were sampled by an earlier run that this one goes on from: it draws as that
  // one would have. They do not count for max_tokens, but as the answer's for penalties.
  u32 resumed = 0;
  std::vector<graph::TokenBias> logit_bias = {};
  bool masked = false;                             // each token waits for Session::mask()
  std::optional<u32> top_logprobs = std::nullopt;  // Session::logprobs() is wanted, with so many of the likeliest
};

PRONK_ENUM(Finish, u8, (length, 0), (end_token, 1), (cancelled, 2), (context_full, 3));

// One conversation: its KV cache, prefill and decode. Belongs to its engine.
class Session {
 public:
  virtual ~Session() = default;

  // Starts a generation after `tokens`, the whole prompt; what the cache already holds of it is not computed again.
  // Wrong tokens and prompts over the context length are errors.
  virtual Status start(std::span<const u32> tokens, const GenerateOptions& options) = 0;
  // The next token, in order; false when none has come yet or the generation is over.
  virtual bool next(u32& token) = 0;
  virtual bool running() const = 0;  // until all tokens have been taken
  virtual Finish finish() const = 0;
  virtual void cancel() = 0;
  virtual u32 reused_tokens() const = 0;  // of the last prompt, found in the cache
  virtual bool wants_mask() const = 0;    // the token after those that next() has given awaits one
  // Bit i allows token i, 32 to a number; empty: all are allowed.
  virtual Status mask(std::span<const u32> allowed) = 0;
  // Of the token that next() gave last: its own, then those of the likeliest (cpu/logprobs.h).
  virtual std::span<const graph::TokenLogprob> logprobs() const = 0;

  // What the session has computed, for a restore() here or in another engine of the same model: starts with the head;
  // then next_saved() gives bytes until running() is false. What ran is over.
  virtual Result<std::vector<u8>> save() = 0;
  // Empty when none have come yet. Valid until the next call.
  virtual std::span<const u8> next_saved() = 0;
  // Goes back to what was saved. The head tells how many bytes are to follow, or that they are not for this session,
  // which then stays as it is. After the last bytes it stands where the saved one did; until then at the beginning.
  virtual Result<u64> restore(std::span<const u8> head) = 0;
  virtual Status put_saved(std::span<const u8> bytes) = 0;  // a multiple of 4

  // Logits of every position of `tokens`, in rows of the vocabulary (LoadOptions::scoring), or hidden states
  // (LoadOptions::embedding), or a reranker's scores. by_steps: through the decode path, one token at a time, instead
  // of prefill; not with an encoder.
  virtual Status score(std::span<const u32> tokens, bool by_steps) = 0;
  // The next rows; empty when none have come yet. Valid until the next call.
  virtual std::span<const float> next_rows() = 0;
};

// A model on a device. Loading streams the files once, to a GPU through a small staging buffer, to the CPU straight to
// where their bytes stay; after that nothing is created.
class Engine {
 public:
  // device: null for the CPU. Pipelines start to compile at once; buffers are created when the first bytes come.
  static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const Model> model, const LoadOptions& options,
                                                std::unique_ptr<gpu::Device> device);
  ~Engine();

  // Streaming, until bytes_done(): put bytes of `file()` from offset `position()` at `space()` and commit them while
  // wants_bytes(); else the device has enough on its way to it, and pump() after its next event.
  u32 file() const;
  u64 position() const;
  u64 stream_end() const;  // of the current file: no byte from here on is wanted
  bool wants_bytes() const;
  bool bytes_done() const;
  std::span<u8> space();
  Status commit(u64 bytes);
  // Instead, on the CPU (CHECK: no device) and before any byte of the file has come: all of its bytes are at
  // `contents`, aligned or not, and stay there, unchanged, for as long as the engine lives, which keeps `owner`.
  // Nothing is copied.
  Status map(u32 file, std::span<const u8> contents, std::shared_ptr<const void> owner = nullptr);

  // Moves loading and the session on as far as they go. The first error stays.
  Status pump();
  bool ready() const;       // all bytes are in, all pipelines compiled and tested
  bool wants_pump() const;  // there is work that needs no event: the CPU's
  Session& session();
  u32 row_width() const;  // floats in a row of Session::score()
  // Tokens of a prompt that now go to the GPU in one submission, as fast as it has shown to be; 0 on the CPU. When the
  // device is lost, the next engine should start with half of it (LoadOptions::prefill_chunk).
  u32 prefill_chunk() const;

  gpu::Device* device();  // null on the CPU
  const Model& model() const;
  const Plan& plan() const;
  MemoryUse planned() const;
  MemoryUse allocated() const;
  RunCounters run_counters() const;
  // What tokens at positions first, first + 1, … read and multiply, of which the last `logits` give some.
  graph::RunCost run_cost(u32 first, u32 tokens, u32 logits) const;

 private:
  struct Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace pronk
