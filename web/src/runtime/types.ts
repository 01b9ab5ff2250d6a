// What the engine's host takes and gives: plain data, fit for postMessage().

/** Where a model is to run. */
export type DeviceChoice = 'auto' | 'webgpu' | 'cpu';
/** Where a model runs. */
export type Device = 'webgpu' | 'cpu';
/** How keys and values are kept. */
export type KvType = 'f16' | 'f32' | 'q8_0' | 'q4_0';

/** How a model is loaded. */
export interface EngineOptions {
  /**
   * Tokens of prompt and answer together; default: what the model was trained for, at most 4096. 'auto': as many as fit
   * the device and the budget, at most what the model was trained for.
   */
  contextSize?: number | 'auto';
  /**
   * Bytes that the model may take with all that belongs to it. Default: no bound but the device's own; for the context
   * size 'auto' half of the machine's memory (in a browser as far as it tells: 2 GiB where it does not, at most 1 GiB on
   * phones).
   */
  memoryBudget?: number;
  /**
   * Default 'auto': WebGPU where there is a GPU, else the CPU; an adapter that is software counts as none. 'webgpu' takes
   * any adapter.
   */
  device?: DeviceChoice;
  /**
   * Type of the KV cache, of keys and values alike or each; default 'f16'. q8_0 takes about half the memory of f16,
   * q4_0 about a quarter.
   */
  kv?: KvType | { keys: KvType; values: KvType };
  /**
   * Loads a text model for embed(); it then generates nothing. Models that only make embeddings (BERT and its like) need
   * no asking. Default false.
   */
  embeddings?: boolean;
  /**
   * Threads of the CPU, where it does the work; default: by the number of processors, at most 8, in browsers that are
   * neither Chromium nor Firefox 1. In a browser only a page that is cross-origin isolated can have more than one.
   */
  threads?: number;
  /**
   * Whether files from URLs, and what tune() measures, are kept and read again from where they are kept: OPFS in browsers,
   * in Node $XDG_CACHE_HOME/pronk or ~/.cache/pronk, or the folder that is given here. Default true.
   */
  cache?: boolean | string;
  /** In a browser: the folder of pronk.wasm and its like, with a slash at its end; default: beside the package. */
  wasmUrl?: string;
}

/** What a model costs and whether it fits, known from its header alone. */
export interface Plan {
  device: Device;
  /** Why 'auto' did not take WebGPU. */
  deviceNote?: string;
  /** Threads of the CPU; 0 on WebGPU. */
  threads: number;
  /** Whether it can be loaded: within the device's limits and the budget. */
  fits: boolean;
  /** One line on what is in the way and what would fit; empty when it fits. */
  refusal: string;
  architecture: string;
  name: string;
  contextLength: number;
  trainedContextLength: number;
  /** Most tokens that fit the device and the budget, at most what it was trained for; 0: none do. */
  largestContext: number;
  /** The budget that was planned with, in bytes; null: no bound but the device's. */
  memoryBudget: number | null;
  vocabSize: number;
  /** Whether it brings a chat template; without one it only continues text. */
  chat: boolean;
  /** Number of weights. */
  parameters: number;
  /** Bytes to download. */
  fileBytes: number;
  /** Bytes that will be allocated, by kind. */
  memory: PlanMemory;
  /** The most bytes of activations that are in use at one time; memory.activations comes near it. 0 on the CPU. */
  activationsLowerBound: number;
}

/** Bytes by what they are for. */
export interface PlanMemory {
  weights: number;
  kvCache: number;
  activations: number;
  parameters: number;
  staging: number;
  readback: number;
  total: number;
}

/** How far loading is. */
export interface LoadProgress {
  /** header: reading what the file is. weights: streaming. prepare: compiling kernels, testing the device. */
  phase: 'header' | 'weights' | 'prepare';
  /** Bytes of weights read so far, of totalBytes (0 while the header is read). */
  loadedBytes: number;
  totalBytes: number;
  /** While weights stream: how fast in the last seconds, and how long they will take at that rate (null: not known). */
  bytesPerSecond?: number;
  secondsLeft?: number | null;
  /** Bytes of the files read so far that came from the cache; the rest came from the network. */
  fromCache?: number;
}

/** A model as it was loaded. */
export interface EngineInfo {
  plan: Plan;
  chatTemplate: string | null;
  /** Spellings of the special tokens, empty where the model has none. */
  bosToken: string;
  eosToken: string;
}

/** Something that the engine dealt with by itself, and that its user may want to know. */
export interface Notice {
  /**
   * device-lost: the GPU went away; the engine is coming back. device-lost-recovered: it is back, and a generation that
   * ran goes on. worker-restarted: so after a crash. running-on-cpu: the device 'auto' took the CPU.
   * not-cached: a file is not kept, or not checked, and why. fewer-threads: the CPU works with fewer than it was to have.
   */
  kind:
    | 'not-cached'
    | 'device-lost'
    | 'device-lost-recovered'
    | 'worker-restarted'
    | 'running-on-cpu'
    | 'fewer-threads';
  /** One line. */
  message: string;
}

/** How a text becomes tokens. */
export interface TokenizeOptions {
  /** Special tokens such as <|im_end|> in the text are parsed as such; default false. */
  special?: boolean;
  /** Whether a begin-of-sequence token is put in front; default 'auto': as the model wants. */
  bos?: 'auto' | 'on' | 'off';
}

/** How the tokens of an answer are chosen. */
export interface SamplingOptions {
  /** Default: until the model ends or the context is full. */
  maxTokens?: number;
  /** 0 takes the most likely token each time; default 0.8. */
  temperature?: number;
  /** The K most likely tokens take part; 0: all; default 40. */
  topK?: number;
  /** The most likely tokens with at least this much probability together; default 0.95. */
  topP?: number;
  /** Tokens with at least this share of the most likely one's probability; default 0.05. */
  minP?: number;
  /** Whole number from 0 to 2^53 - 1; default: random. The same seed gives the same tokens. */
  seed?: number;
  /** Goes on after an end token; default false. */
  ignoreEos?: boolean;
  /**
   * Of each token in the prompt or the answer a logit above 0 is divided by this, another multiplied; from 0.01 to 100,
   * default 1: no penalty.
   */
  repetitionPenalty?: number;
  /** Taken from a token's logit for each time that it is in the answer; from -2 to 2, default 0. */
  frequencyPenalty?: number;
  /** Taken once from the logit of a token that is in the answer; from -2 to 2, default 0. */
  presencePenalty?: number;
  /** Added to the logit of a token, by its id; from -100, which bans it, to 100. */
  logitBias?: Record<number, number>;
  /** Each piece with a token tells its log probability, and those of so many of the likeliest; from 0 to 20. */
  topLogprobs?: number;
}

/** Which tokens may come next in an answer; runs where the engine does. */
export interface TokenMask {
  /** Bit i of the array (32 to a number, for the whole vocabulary) allows token i; null: all are allowed. */
  next(): Uint32Array | null;
  /** Called with each token of the answer in turn, before the next() after it. */
  accept(token: number): void;
}

/**
 * Natural log probabilities of the model's own distribution: before penalties, bias, mask, temperature and truncation, as
 * vLLM's default (raw_logprobs) has them.
 */
export interface Logprobs {
  logprob: number;
  /** The most likely tokens, the likeliest first; the piece's own is not always among them. */
  top: { token: number; logprob: number }[];
}

/**
 * What an answer must be: a JSON object, JSON of a schema, or a text of a grammar in EBNF as the W3C writes it, whose first
 * rule is `root`.
 */
export type Constraint = (
  | { kind: 'json' }
  | { kind: 'schema'; schema: Record<string, unknown> }
  | { kind: 'grammar'; grammar: string }
) & {
  /** A token, such as that of </think>: anything but an end may come before it, what must be so after it. */
  after?: number;
};

/** How the vectors of a text's tokens become one: none keeps them all. */
export type Pooling = 'mean' | 'cls' | 'last' | 'none';

/** How a text becomes a vector. */
export interface EmbeddingOptions {
  /** Default 'auto': as the file says, or the mean; of a reranker its scores. */
  pooling?: Pooling | 'auto';
  /** Vectors of length 1; default false. */
  normalize?: boolean;
}

/** A piece of the answer. */
export interface Piece {
  text: string;
  /** null: no token, but the rest of a character that the last token left unfinished. */
  token: number | null;
  /** Of the token, with the option topLogprobs. */
  logprobs?: Logprobs;
}

/** Why an answer ended: at its most tokens, at its own end, by its caller, or at the end of the context. */
export type FinishReason = 'length' | 'stop' | 'cancelled' | 'context-full';

/** How a generation ended, and how fast it was. */
export interface GenerationResult {
  finishReason: FinishReason;
  promptTokens: number;
  /** Prompt tokens that were still in the KV cache from the call before. */
  reusedTokens: number;
  generatedTokens: number;
  seed: number;
  timings: {
    /** From the call's turn to its first token, in milliseconds. */
    firstTokenMs: number;
    totalMs: number;
    promptTokensPerSecond: number;
    /** Of the tokens after the first. */
    tokensPerSecond: number;
  };
}

/** What the device was asked for. */
export interface Counters {
  dispatchesPerToken: number;
  submitsPerToken: number;
  buffersCreatedAfterLoad: number;
  bindGroupsCreatedAfterLoad: number;
  pipelinesCreatedAfterLoad: number;
  readbackBytesPerToken: number;
}

/** Of the last run, and of the engine as a whole. */
export interface Stats {
  promptTokens: number;
  generatedTokens: number;
  reusedTokens: number;
  /** Counted at the device, not assumed. */
  counters: Counters;
  /** Bytes the device was asked for, by the plan's kinds. */
  allocated: PlanMemory;
  /** Size of the WASM module's memory. */
  heapBytes: number;
  /** Bytes of sessions that wait for their turn in the host's memory. */
  sessionBytes: number;
  /** Pipelines (compiled kernels) of the GPU; 0 on the CPU. */
  pipelines: number;
  /** Milliseconds of the load in which any of them was compiled; those that the browser has kept take little. */
  compileMs: number;
  /** Threads of the CPU that work: those of the plan, once their workers have started. */
  threads: number;
  /** Times that the engine came back by itself, from a lost device or a crashed worker. */
  recoveries: number;
}

/** Of kernels measured on this device: see Engine.tune(). */
export interface TuneResult {
  /** Kernels and shapes of the model that offer a choice, or with `missing` those without one. */
  problems: number;
  /** Of those that were measured in the time there was; the others keep what they had. */
  choices: TunedKernel[];
}

/** What was measured of one kernel. */
export interface TunedKernel {
  /** The kernel, the weights' format and the shape. */
  kernel: string;
  standard: string;
  /** What the next load takes; the standard one where nothing gains 3 % on it. */
  fastest: string;
  standardMicroseconds: number;
  fastestMicroseconds: number;
}

/** A model file as it travels to the engine. */
export type FileSpec =
  | {
      kind: 'url';
      url: string;
      /** Whether the cache keeps it; in Node also the folder it is kept in. */
      cache?: boolean | string;
      /** The server is a hub like Hugging Face, which tells hashes. */
      hub?: boolean;
      /** Of the whole file in hex, where it is known already; null: nobody tells it. */
      sha256?: string | null;
      /** Read by few long requests, one at a time: what is read from several files in turn. */
      longRequests?: boolean;
    }
  /** path: of a file of a folder, in it; else it is what the file is named. */
  | { kind: 'blob'; blob: Blob; path?: string }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'path'; path: string };
