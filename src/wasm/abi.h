// What the WASM module exports. One module instance holds one model and one conversation; a host that wants two makes
// two instances. Everything is a number: text and arrays go through memory, 64-bit sizes are doubles (exact to 2^53).
//
// A call that fails returns -1 (or a negative double) and leaves its message, one line of UTF-8, in the result, and its
// kind, an ErrorCode of base/result.h, in pronk_error_code().
// A call that gives text or an array leaves it in the result, valid until the next call: result_ptr(), result_len().
// Nothing blocks: the host calls pronk_pump() after every event and follows the state that it returns.
#pragma once

#include "wasm/call.h"
#include "wasm/host_types.h"

// Parses the header of a file from its first bytes. Files are given in order of their split index, the only file as 0.
// Returns 0 when it is complete, else the number of bytes from the start of the file to call again with; -1: error.
// file_size < 0: unknown.
PRONK_EXPORT(pronk_header) double pronk_header(u32 file, const u8* bytes, u32 length, double file_size);
// Number of files that the first header speaks of (1: not split). With `name` of any split the result is, one a line,
// the names of all.
PRONK_EXPORT(pronk_split_names) i32 pronk_split_names(const u8* name, u32 length);

// Plans without allocating. device: a DeviceKind. context: tokens, context_default (min(trained, 4096)) or
// context_largest (as many as fit). keys, values: a KvKind. budget: bytes that everything may take, 0: no bound but the
// device's. embeddings: whether it is to make embeddings, as encoders always do, and no text. threads: of the CPU,
// at least 1; one without shared memory. With device_gpu by the limits of the host's device. Result: JSON
// {"device","architecture","name","context_length","trained_context_length","largest_context","vocab_size",
//  "parameters","file_bytes","weights","kv_cache","activations","activations_lower_bound","parameters_bytes","staging",
//  "readback","total" (bytes),"fits","refusal" (one line, "" when it fits),"refusal_code" (an ErrorCode)}. Not to fit
// is no failure.
PRONK_EXPORT(pronk_plan)
i32 pronk_plan(i32 device, u32 context, i32 keys, i32 values, double budget, i32 embeddings, u32 threads);

// Starts loading what pronk_header() read; a plan that does not fit is refused. Then, until pronk_position() < 0: the
// host puts bytes of file pronk_file() from offset pronk_position() on at pronk_space(), at most pronk_space_len(), and
// commits them. pronk_stream_end(): offset after the last byte that is wanted of that file. prefill_chunk: tokens of
// the first submission of a prompt to a GPU, 0: the default.
PRONK_EXPORT(pronk_load)
i32 pronk_load(i32 device, u32 context, i32 keys, i32 values, double budget, i32 embeddings, u32 threads,
               u32 prefill_chunk);
PRONK_EXPORT(pronk_file) u32 pronk_file();
PRONK_EXPORT(pronk_position) double pronk_position();
PRONK_EXPORT(pronk_stream_end) double pronk_stream_end();
PRONK_EXPORT(pronk_space) u8* pronk_space();
PRONK_EXPORT(pronk_space_len) u32 pronk_space_len();
PRONK_EXPORT(pronk_commit) i32 pronk_commit(u32 bytes);

// Moves everything on as far as it goes without waiting. Returns a State.
PRONK_EXPORT(pronk_pump) i32 pronk_pump();

// Result: u32 ids. text is UTF-8; flags: TokenizeFlags. Works as soon as the header is complete.
PRONK_EXPORT(pronk_tokenize) i32 pronk_tokenize(const u8* text, u32 length, u32 flags);
// Result: UTF-8 text of u32 ids.
PRONK_EXPORT(pronk_detokenize) i32 pronk_detokenize(const u8* ids, u32 count);
// Result: for each token of the vocabulary u32 length and its bytes, maybe a part of a character; control tokens have
// none.
PRONK_EXPORT(pronk_vocabulary) i32 pronk_vocabulary();
// Result: u32 ids of the tokens that end an answer.
PRONK_EXPORT(pronk_end_tokens) i32 pronk_end_tokens();
// Result: UTF-8; empty when the file has none.
PRONK_EXPORT(pronk_chat_template) i32 pronk_chat_template();
// Result: UTF-8 spelling of a SpecialToken, empty when there is none.
PRONK_EXPORT(pronk_special) i32 pronk_special(u32 which);

// Starts a generation; the state must be ready and pronk_next() must have given the end of the last one. ids: u32, at
// least one. temperature 0: greedy. resumed: the last so many ids were sampled by a generation that was interrupted;
// this one draws, and puts characters together, as that one would have gone on. They do not count for max_tokens.
PRONK_EXPORT(pronk_generate)
i32 pronk_generate(const u8* ids, u32 count, u32 max_tokens, float temperature, u32 top_k, float top_p, float min_p,
                   u32 seed_low, u32 seed_high, i32 ignore_end, u32 resumed);
// What the next pronk_generate() has besides; without this call nothing. biases: u32 ids and f32 biases in turn, as
// many pairs. masked: each token waits for pronk_mask(). top_logprobs: pronk_logprobs() will be asked for so many; < 0:
// not.
PRONK_EXPORT(pronk_adjust)
void pronk_adjust(float repetition_penalty, float frequency_penalty, float presence_penalty, const u8* biases,
                  u32 pairs, i32 masked, i32 top_logprobs);
// In state_mask. words: u32, of which bit i allows token i; as many as the vocabulary needs, or none: all are allowed.
PRONK_EXPORT(pronk_mask) i32 pronk_mask(const u8* words, u32 count);
// Result: u32 id and f32 natural log probability in turn, of the token that pronk_next() gave last: its own, then those
// of the likeliest.
PRONK_EXPORT(pronk_logprobs) i32 pronk_logprobs();
// Returns a Next.
PRONK_EXPORT(pronk_next) i32 pronk_next();

// Starts the embedding of a text, with a model that was loaded for it; the state must be ready and pronk_embedding()
// must have given the last one. ids: u32, at least one. pooling: a PoolingKind; of a reranker auto gives its scores.
PRONK_EXPORT(pronk_embed) i32 pronk_embed(const u8* ids, u32 count, i32 pooling, i32 normalize);
// Returns an EmbeddingState.
PRONK_EXPORT(pronk_embedding) i32 pronk_embedding();

// Starts to save what the conversation has computed; the state must be ready. Result: the head of what is saved, whose
// seventh u32 is the number of its tokens, which begin at the ninth. pronk_saved() then gives the bytes that follow.
PRONK_EXPORT(pronk_save) i32 pronk_save();
// Returns a SavedState.
PRONK_EXPORT(pronk_saved) i32 pronk_saved();
// Goes back to what was saved, here or with another engine: first the head, which gives how many bytes are to follow,
// then those, by multiples of 4. A head that is not for this model is an error and changes nothing.
PRONK_EXPORT(pronk_restore) double pronk_restore(const u8* head, u32 length);
PRONK_EXPORT(pronk_put_saved) i32 pronk_put_saved(const u8* bytes, u32 length);

// Ends a generation, whose end pronk_next() still gives, or an embedding, of which nothing comes any more.
PRONK_EXPORT(pronk_cancel) void pronk_cancel();
// Tokens of a prompt that now go to the GPU in one submission; 0 on the CPU or with nothing loaded. After the loss of a
// device the next one should begin with half of it.
PRONK_EXPORT(pronk_prefill_chunk) u32 pronk_prefill_chunk();

// Result: JSON {"prompt_tokens","generated_tokens","reused_tokens","context_length",
//  "counters":{…as pronk generate --json…},"planned":{by kind, bytes},"allocated":{by kind, bytes},"heap_bytes"}
PRONK_EXPORT(pronk_stats) i32 pronk_stats();
PRONK_EXPORT(pronk_unload) void pronk_unload();
