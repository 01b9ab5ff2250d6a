// The WASM module: its exports (src/wasm/abi.h) and how text and arrays pass through its memory.
import { messageOf, moduleError, PronkError } from './errors.js';
import type { GpuHost, GpuModule } from './gpu.js';
import { TextHost } from './text-host.js';

/** What every module has. */
export interface CommonExports {
  memory: WebAssembly.Memory;
  _initialize?(): void;
  pronk_alloc(bytes: number): number;
  pronk_realloc(at: number, bytes: number): number;
  pronk_free(at: number): void;
  pronk_result_ptr(): number;
  pronk_result_len(): number;
  pronk_error_code(): number;
}

export interface ModuleExports extends CommonExports {
  pronk_header(file: number, at: number, length: number, fileSize: number): number;
  pronk_split_names(at: number, length: number): number;
  pronk_plan(
    device: number,
    context: number,
    keys: number,
    values: number,
    budget: number,
    embeddings: number,
    threads: number,
  ): number;
  pronk_load(
    device: number,
    context: number,
    keys: number,
    values: number,
    budget: number,
    embeddings: number,
    threads: number,
    prefillChunk: number,
  ): number;
  pronk_file(): number;
  pronk_position(): number;
  pronk_stream_end(): number;
  pronk_space(): number;
  pronk_space_len(): number;
  pronk_commit(bytes: number): number;
  pronk_pump(): number;
  pronk_tokenize(at: number, length: number, flags: number): number;
  pronk_detokenize(at: number, count: number): number;
  pronk_vocabulary(): number;
  pronk_end_tokens(): number;
  pronk_chat_template(): number;
  pronk_special(which: number): number;
  pronk_generate(
    ids: number,
    count: number,
    maxTokens: number,
    temperature: number,
    topK: number,
    topP: number,
    minP: number,
    seedLow: number,
    seedHigh: number,
    ignoreEnd: number,
    resumed: number,
  ): number;
  pronk_adjust(
    repetitionPenalty: number,
    frequencyPenalty: number,
    presencePenalty: number,
    biases: number,
    pairs: number,
    masked: number,
    topLogprobs: number,
  ): void;
  pronk_mask(words: number, count: number): number;
  pronk_logprobs(): number;
  pronk_next(): number;
  pronk_embed(ids: number, count: number, pooling: number, normalize: number): number;
  pronk_embedding(): number;
  pronk_save(): number;
  pronk_saved(): number;
  pronk_restore(head: number, length: number): number;
  pronk_put_saved(bytes: number, length: number): number;
  pronk_cancel(): void;
  pronk_prefill_chunk(): number;
  pronk_stats(): number;
  pronk_unload(): void;
}

/** What those with a GPU back end export beside them (src/wasm/tuning.h; pronk_gpu_event: see GpuModule). */
export interface TuningExports {
  pronk_adapter(): number;
  pronk_set_tuning(text: number, length: number): number;
}

/** What pronk-tune.wasm exports beside TuningExports and the first of ModuleExports (src/wasm/tune.h). */
export interface TuneExports {
  pronk_tune(
    context: number,
    keys: number,
    values: number,
    budget: number,
    embeddings: number,
    seconds: number,
    missing: number,
  ): number;
  pronk_tune_pump(): number;
  pronk_tune_end(): number;
}

/** What pronk-folder.wasm exports (src/wasm/folder.h). */
export interface FolderExports extends CommonExports {
  folder_file_names(): number;
  folder_add_file(name: number, nameLength: number, at: number, length: number): number;
  folder_add_names(at: number, length: number): number;
  folder_weight_files(): number;
  folder_header(at: number, length: number, size: number): number;
  folder_head(): number;
  folder_tensors(): number;
  folder_tokenizer(at: number, length: number): number;
  folder_encode(at: number, length: number, control: number): number;
  folder_decode(id: number, first: number): number;
  folder_make(
    type: number,
    stored: number,
    unit: number,
    row: number,
    added: number,
    units: number,
    first: number,
    second: number,
  ): number;
}

/** What a module of shared memory exports beside them (src/wasm/threads.h). */
export interface ThreadExports {
  __stack_pointer: WebAssembly.Global;
  pronk_thread_stack(): number;
  pronk_thread(thread: number, stack: number): void;
  pronk_thread_lost(): void;
  pronk_end_threads(): void;
}

/** Which of them a module has is known to who chose it. */
export type AllExports = ModuleExports & GpuModule & TuningExports & TuneExports & ThreadExports;

/** What more instances of a module, in other workers, are made of. */
export interface SharedModule {
  compiled: WebAssembly.Module;
  memory: WebAssembly.Memory;
}

const encodeText = new TextEncoder();
const decodeText = new TextDecoder();

/** An instance, with each failure as a PronkError. After a trap every call fails: the instance is not to be trusted. */
export class WasmModule<Exports extends CommonExports> {
  private trapped: PronkError | null = null;

  /**
   * lastLog: what the module logged last; a CHECK says there why it trapped. shared: null where there can be no other
   * instance.
   */
  constructor(
    protected readonly exports: Exports,
    private readonly lastLog: () => string = () => '',
    readonly shared: SharedModule | null = null,
  ) {}

  /** Runs `use` on the exports; a negative number becomes the module's error. */
  call(use: (exports: Exports) => number): number {
    const value = this.run(use);
    if (value < 0) throw this.error();
    return value;
  }

  /** What the last call that failed came of. */
  error(): PronkError {
    const code = this.run((exports) => exports.pronk_error_code());
    return moduleError(code, this.resultText());
  }

  run<T>(use: (exports: Exports) => T): T {
    if (this.trapped) throw this.trapped;
    try {
      return use(this.exports);
    } catch (error) {
      if (error instanceof PronkError) throw error;
      const log = this.lastLog();
      const message = `the engine stopped: ${messageOf(error)}${log ? ` (${log})` : ''}`;
      throw (this.trapped = new PronkError('worker-crashed', message, { cause: error }));
    }
  }

  /** Runs `use` with the address of a copy of `bytes` in the module's memory. */
  withBytes<T>(bytes: Uint8Array, use: (at: number) => T): T {
    const at = this.run((exports) => exports.pronk_alloc(bytes.length));
    this.put(at, bytes);
    try {
      return use(at);
    } finally {
      this.free(at);
    }
  }

  withText<T>(text: string, use: (at: number, length: number) => T): T {
    const bytes = encodeText.encode(text);
    return this.withBytes(bytes, (at) => use(at, bytes.length));
  }

  withIds<T>(ids: ArrayLike<number>, use: (at: number) => T): T {
    return this.withBytes(new Uint8Array(Uint32Array.from(ids).buffer), use);
  }

  /** Moves memory of the module to where there is room for `bytes`; at = 0: it is new. */
  grow(at: number, bytes: number): number {
    return this.run((exports) => exports.pronk_realloc(at, bytes));
  }

  free(at: number): void {
    if (!this.trapped) this.run((exports) => exports.pronk_free(at));
  }

  copy(at: number, length: number): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer, at >>> 0, length).slice();
  }

  // The memory may have grown since the last look: a view is made at each use.
  put(at: number, bytes: Uint8Array): void {
    new Uint8Array(this.exports.memory.buffer, at >>> 0, bytes.length).set(bytes);
  }

  result(): Uint8Array<ArrayBuffer> {
    const [at, length] = this.run((exports) => [exports.pronk_result_ptr() >>> 0, exports.pronk_result_len() >>> 0]);
    return new Uint8Array(new Uint8Array(this.exports.memory.buffer, at, length));
  }

  resultText(): string {
    return decodeText.decode(this.result());
  }

  resultIds(): number[] {
    return Array.from(new Uint32Array(this.result().buffer));
  }

  resultFloats(): Float32Array {
    return new Float32Array(this.result().buffer);
  }

  /** Pairs of a u32 and an f32. */
  resultPairs(): [number, number][] {
    const view = new DataView(this.result().buffer);
    return Array.from({ length: view.byteLength / 8 }, (_, i) => [
      view.getUint32(8 * i, true),
      view.getFloat32(8 * i + 4, true),
    ]);
  }

  /** u32 and the text after it, as pronk_next() leaves them. */
  resultNumberAndText(): [number, string] {
    const bytes = this.result();
    return [new DataView(bytes.buffer).getUint32(0, true), decodeText.decode(bytes.subarray(4))];
  }

  /** The result's JSON object. */
  resultObject(): Record<string, unknown> {
    return JSON.parse(this.resultText()) as Record<string, unknown>;
  }
}

/** An instance of an engine. */
export class EngineModule extends WasmModule<AllExports> {
  constructor(
    exports: ModuleExports,
    lastLog?: () => string,
    shared?: SharedModule | null,
    /** null: no model of this module wants it. */
    readonly text: TextHost | null = null,
  ) {
    super(exports as AllExports, lastLog, shared);
  }

  /** The stack of a new thread of a shared module. */
  makeStack(): number {
    return this.run((exports) => exports.pronk_thread_stack()) >>> 0;
  }

  /** Lets the threads of a shared module return, also after a trap. */
  endThreads(): void {
    this.exports.pronk_end_threads();
  }

  /** Of the plain module; those of shared memory are for the CPU alone. */
  get gpuSide(): AllExports {
    return this.exports;
  }
}

/**
 * Instantiates a compiled engine; without a GpuHost its GPU is one that is not there. memory: of a shared module; null
 * for the plain one.
 */
export async function instantiate(
  compiled: WebAssembly.Module,
  gpu: GpuHost | null,
  memory: WebAssembly.Memory | null = null,
): Promise<EngineModule> {
  const text = new TextHost();
  const gpuSide = gpu?.imports() ?? { gpu_describe: () => 0 };
  const host = { ...gpuSide, ...text.imports(), ...(memory && { memory }) };
  const { exports, lastLog } = await start<ModuleExports>(compiled, host);
  text.memory = exports.memory;
  return new EngineModule(exports, lastLog, memory && { compiled, memory }, text);
}

export async function instantiateFolder(compiled: WebAssembly.Module): Promise<WasmModule<FolderExports>> {
  const { exports, lastLog } = await start<FolderExports>(compiled, {});
  return new WasmModule(exports, lastLog);
}

async function start<Exports extends CommonExports>(
  compiled: WebAssembly.Module,
  host: Record<string, WebAssembly.ImportValue>,
): Promise<{ exports: Exports; lastLog: () => string }> {
  let lines = '';
  let exports: Exports | null = null;
  const pronk: Record<string, WebAssembly.ImportValue> = {
    log: (at: number, length: number) => {
      const bytes = new Uint8Array(exports!.memory.buffer, at >>> 0, length >>> 0);
      lines = (lines + decodeText.decode(bytes.slice())).slice(-400);
    },
    ...host,
  };
  for (const { module, name } of WebAssembly.Module.imports(compiled)) {
    if (module !== 'pronk') throw new PronkError('internal', `the module imports '${module}.${name}'`);
    pronk[name] ??= () => {
      throw new Error(`there is no host function '${name}'`);
    };
  }
  exports = (await WebAssembly.instantiate(compiled, { pronk })).exports as unknown as Exports;
  exports._initialize?.();
  return { exports, lastLog: () => lines.trim().split('\n').pop() ?? '' };
}
