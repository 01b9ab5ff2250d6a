// The WASM module's double: the exports of src/wasm/abi.h over plain memory, for tests without a build.
//
// Its models: u32 magic, u32 header bytes, u32 weight bytes, u32 file count, then anything. Tokens are bytes of UTF-8,
// 256 begins, 257 ends. It answers with the prompt's bytes backwards, then ends. The embedding of a text is its tokens and
// what was asked for: after as many steps as it has tokens.
import {
  Context,
  EmbeddingState,
  ErrorCode,
  Finish,
  Next,
  SpecialToken,
  State,
  TokenizeFlags,
} from '../../src/runtime/abi.js';
import type { GpuModule } from '../../src/runtime/gpu.js';
import type { ModuleExports } from '../../src/runtime/module.js';

const magic = 0x454b4146;
const spaceBytes = 4096;
const trained = 8192;

export function fakeModel(weightBytes: number, headerBytes = 64, files = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headerBytes + weightBytes);
  new Uint32Array(bytes.buffer, 0, 4).set([magic, headerBytes, weightBytes, files]);
  for (let i = headerBytes; i < bytes.length; i++) bytes[i] = (i * 31 + (i >> 8)) & 255;
  return bytes;
}

interface FakeFile {
  header: number;
  weights: number;
  received: number[];
}

export class FakeModule {
  readonly memory = new WebAssembly.Memory({ initial: 4, maximum: 1024 });
  readonly files: FakeFile[] = [];
  calls: string[] = [];
  trapAfterTokens = Infinity;
  failAfterTokens = Infinity;
  failure = 'gone: test';
  failureCode: ErrorCode = ErrorCode.deviceLost; // of what ends a generation after failAfterTokens
  onStep: () => void = () => {}; // before each token
  chatTemplate = '';
  prefillChunk = 0; // of the load; a test may say that it has grown since
  private top = 1024 + spaceBytes;
  private resultAt = 0;
  private resultLength = 0;
  private errorCode: ErrorCode = ErrorCode.unspecified;
  private state: number = State.empty;
  private file = 0;
  private answer: number[] = [];
  private given = 0;
  private limit = 0;
  private cancelled = false;
  private queue: { what: Next; bytes: Uint8Array }[] = [];
  private generated = 0;
  private prompt = 0;
  private embeds = false;
  private embedding: number[] | null = null;

  private result(bytes: Uint8Array): number {
    this.resultAt = this.alloc(bytes.length);
    new Uint8Array(this.memory.buffer).set(bytes, this.resultAt);
    this.resultLength = bytes.length;
    return 0;
  }
  text(text: string): number {
    return this.result(new TextEncoder().encode(text));
  }
  error(code: ErrorCode, text: string): number {
    this.text(text);
    this.errorCode = code;
    return -1;
  }
  private alloc(bytes: number): number {
    const at = this.top;
    this.top = (this.top + bytes + 15) & ~7;
    const missing = this.top - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    return at;
  }
  private read(at: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, at, length).slice();
  }
  private numberAndText(number: number, text: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(4 + text.length);
    new DataView(bytes.buffer).setUint32(0, number, true);
    bytes.set(text, 4);
    return bytes;
  }
  private memoryJson(weights: number): Record<string, number> {
    return { weights, kv_cache: 2048, activations: 512, staging: spaceBytes, readback: 16 };
  }

  readonly exports: ModuleExports & GpuModule = {
    memory: this.memory,
    pronk_gpu_event: () => 0,
    pronk_alloc: (bytes) => this.alloc(bytes),
    pronk_realloc: (at, bytes) => {
      const moved = this.alloc(bytes);
      if (at !== 0) new Uint8Array(this.memory.buffer).copyWithin(moved, at, at + bytes);
      return moved;
    },
    pronk_free: () => {},
    pronk_result_ptr: () => this.resultAt,
    pronk_result_len: () => this.resultLength,
    pronk_error_code: () => this.errorCode,
    pronk_header: (file, at, length, fileSize) => {
      this.calls.push(`header ${file} ${length} ${fileSize}`);
      if (length < 16) return 16;
      const [word, header, weights] = new Uint32Array(this.read(at, 16).buffer);
      if (word !== magic) return this.error(ErrorCode.badModel, 'magic: not a fake file');
      if (length < header!) return header!;
      this.files[file] = { header: header!, weights: weights!, received: [] };
      this.files[file].header = header!;
      this.fileCount ||= new Uint32Array(this.read(at, 16).buffer)[3]!;
      return 0;
    },
    pronk_split_names: () => {
      this.text(Array.from({ length: this.fileCount }, (_, i) => `part ${i + 1}`).join('\n'));
      return this.fileCount;
    },
    pronk_plan: (device, context, keys, values, budget, embeddings) => {
      this.calls.push(`plan ${device} ${context} ${keys} ${values} ${budget}${embeddings ? ' embeddings' : ''}`);
      const weights = this.files.reduce((sum, file) => sum + file.weights, 0);
      const memory = this.memoryJson(weights);
      const total = Object.values(memory).reduce((a, b) => a + b, 64);
      const largest = budget === 0 ? trained : Math.max(0, Math.min(trained, budget - total)); // a byte a token
      const tokens = context === Context.largest ? Math.max(1, largest) : context || 4096;
      const fits = tokens <= (budget === 0 ? 100_000 : largest);
      return this.text(
        JSON.stringify({
          device: device ? 'webgpu' : 'cpu',
          architecture: 'fake',
          name: 'Fake model',
          context_length: tokens,
          trained_context_length: trained,
          largest_context: largest,
          fits,
          refusal: fits ? '' : `a context of ${tokens} does not fit; ${largest} tokens would fit`,
          refusal_code: ErrorCode.outOfMemory,
          vocab_size: 258,
          parameters: weights / 4,
          file_bytes: weights,
          ...memory,
          activations_lower_bound: 500,
          parameters_bytes: 64,
          total,
        }),
      );
    },
    pronk_load: (device, context, _keys, _values, _budget, embeddings, _threads, prefillChunk) => {
      this.calls.push(`load ${device} ${context}`);
      this.embeds = embeddings !== 0;
      this.prefillChunk = prefillChunk || 32;
      this.state = State.loading;
      this.skipFull();
      return 0;
    },
    pronk_file: () => this.file,
    pronk_position: () => {
      const file = this.files[this.file];
      return file ? file.header + file.received.length : -1;
    },
    pronk_stream_end: () => {
      const file = this.files[this.file]!;
      return file.header + file.weights;
    },
    pronk_space: () => 1024,
    pronk_space_len: () => spaceBytes,
    pronk_commit: (bytes) => {
      this.files[this.file]!.received.push(...this.read(1024, bytes));
      this.skipFull();
      return 0;
    },
    pronk_pump: () => {
      if (this.state === State.loading && this.file >= this.files.length) this.state = State.ready;
      if (this.state === State.again) this.embedding ? this.embedStep() : this.step();
      return this.state === State.failed ? this.error(this.failureCode, this.failure) : this.state;
    },
    pronk_tokenize: (at, length, flags) => {
      const ids = [...this.read(at, length)];
      if (!(flags & TokenizeFlags.noBos)) ids.unshift(256);
      return this.result(new Uint8Array(Uint32Array.from(ids).buffer));
    },
    pronk_detokenize: (at, count) => {
      const ids = [...new Uint32Array(this.read(at, 4 * count).buffer)];
      if (ids.some((id) => id > 257)) return this.error(ErrorCode.badArgument, 'token 258 or more');
      return this.result(Uint8Array.from(ids.filter((id) => id < 256)));
    },
    pronk_vocabulary: () =>
      this.result(Uint8Array.from({ length: 256 * 5 }, (_, i) => [1, 0, 0, 0, Math.floor(i / 5)][i % 5]!)),
    pronk_end_tokens: () => this.result(Uint8Array.of(1, 1, 0, 0)),
    pronk_chat_template: () => this.text(this.chatTemplate),
    pronk_special: (which) => this.text(which === SpecialToken.bos ? '<s>' : '</s>'),
    pronk_generate: (at, count, maxTokens, ...[, , , , , , , resumed]) => {
      if (this.state !== State.ready) return this.error(ErrorCode.internal, 'not ready');
      const ids = [...new Uint32Array(this.read(at, 4 * count).buffer)];
      this.calls.push(`generate ${count} ${maxTokens} ${resumed}`);
      this.prompt = count - resumed;
      this.answer = ids
        .slice(0, this.prompt)
        .filter((id) => id < 256)
        .reverse();
      if (`${ids.slice(this.prompt)}` !== `${this.answer.slice(0, resumed)}`)
        return this.error(ErrorCode.internal, 'resumed by other tokens');
      this.given = resumed;
      this.generated = 0;
      this.limit = maxTokens;
      this.cancelled = false;
      this.state = State.again;
      return 0;
    },
    pronk_adjust: () => {},
    pronk_mask: () => 0,
    pronk_logprobs: () => 0,
    pronk_next: () => {
      const next = this.queue.shift();
      if (!next) return Next.none;
      this.result(next.bytes);
      return next.what;
    },
    pronk_embed: (at, count, pooling, normalize) => {
      this.calls.push(`embed ${count} ${pooling} ${normalize}`);
      if (!this.embeds) return this.error(ErrorCode.badArgument, "load it with the option 'embeddings'");
      if (this.state !== State.ready) return this.error(ErrorCode.internal, 'not ready');
      if (count > 1000) return this.error(ErrorCode.badArgument, 'too long');
      this.generated = 0;
      this.limit = count;
      this.embedding = [...new Uint32Array(this.read(at, 4 * count).buffer), pooling, normalize];
      this.state = State.again;
      return 0;
    },
    pronk_embedding: () => {
      if (!this.embedding || this.state !== State.ready) return EmbeddingState.none;
      this.result(new Uint8Array(Float32Array.from(this.embedding).buffer));
      this.embedding = null;
      return EmbeddingState.done;
    },
    pronk_save: () => this.error(ErrorCode.internal, 'not in this double'),
    pronk_saved: () => this.error(ErrorCode.internal, 'not in this double'),
    pronk_restore: () => this.error(ErrorCode.internal, 'not in this double'),
    pronk_put_saved: () => this.error(ErrorCode.internal, 'not in this double'),
    pronk_cancel: () => {
      this.cancelled = true;
      if (!this.embedding) return;
      this.embedding = null;
      this.state = State.ready;
    },
    pronk_prefill_chunk: () => this.prefillChunk,
    pronk_stats: () =>
      this.text(
        JSON.stringify({
          prompt_tokens: this.prompt,
          generated_tokens: this.generated,
          reused_tokens: 0,
          counters: {
            dispatches_per_token: 0,
            submits_per_token: 0,
            buffers_created_after_load: 0,
            bind_groups_created_after_load: 0,
            pipelines_created_after_load: 0,
            readback_bytes_per_token: 0,
          },
          allocated: { ...this.memoryJson(1), parameters: 64, total: 1 },
          heap_bytes: this.memory.buffer.byteLength,
        }),
      ),
    pronk_unload: () => {
      this.calls.push('unload');
      this.state = State.empty;
    },
  };

  private fileCount = 0;

  private skipFull(): void {
    for (let file = this.files[this.file]; file && file.received.length === file.weights; ) {
      file = this.files[++this.file];
    }
  }

  private finish(reason: Finish): void {
    this.queue.push({ what: Next.end, bytes: this.numberAndText(reason, new Uint8Array(0)) });
    this.state = State.ready;
  }

  private embedStep(): void {
    this.onStep();
    this.failOrTrap();
    if (this.state === State.again && ++this.generated === this.limit) this.state = State.ready;
  }

  private failOrTrap(): void {
    if (this.generated >= this.trapAfterTokens) throw new WebAssembly.RuntimeError('unreachable');
    if (this.generated >= this.failAfterTokens) this.state = State.failed;
  }

  private step(): void {
    this.onStep();
    if (this.cancelled) return this.finish(Finish.cancelled);
    this.failOrTrap();
    if (this.state === State.failed) return;
    const token = this.answer[this.given++];
    if (token === undefined) return this.finish(Finish.endToken);
    this.generated++;
    this.queue.push({ what: Next.token, bytes: this.numberAndText(token, Uint8Array.of(token)) });
    if (this.generated >= this.limit) this.finish(Finish.length);
  }
}
