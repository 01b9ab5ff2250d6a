// What the engine's host takes and gives: plain data, fit for postMessage().

export type DeviceChoice = 'auto' | 'webgpu' | 'cpu';
export type Device = 'webgpu' | 'cpu';
export type KvType = 'f16' | 'f32' | 'q8_0' | 'q4_0';

export interface EngineOptions {
  /** Tokens of prompt and answer together; default: what the model was trained for, at most 4096. */
  contextSize?: number;
  /** Default 'auto': WebGPU where there is an adapter, else the CPU. */
  device?: DeviceChoice;
  /**
   * Type of the KV cache, of keys and values alike or each; default 'f16'. q8_0 takes about half the memory of f16,
   * q4_0 about a quarter.
   */
  kv?: KvType | { keys: KvType; values: KvType };
}

/** What a model costs, known from its header alone. */
export interface Plan {
  device: Device;
  /** Why 'auto' did not take WebGPU. */
  deviceNote?: string;
  architecture: string;
  name: string;
  contextLength: number;
  trainedContextLength: number;
  vocabSize: number;
  /** Whether it brings a chat template; without one it only continues text. */
  chat: boolean;
  /** Number of weights. */
  parameters: number;
  /** Bytes to download. */
  fileBytes: number;
  /** Bytes that will be allocated, by kind. */
  memory: PlanMemory;
}

export interface PlanMemory {
  weights: number;
  kvCache: number;
  activations: number;
  parameters: number;
  staging: number;
  readback: number;
  total: number;
}

export interface LoadProgress {
  /** header: reading what the file is. weights: streaming. prepare: compiling kernels, testing the device. */
  phase: 'header' | 'weights' | 'prepare';
  /** Bytes of weights read so far, of totalBytes (0 while the header is read). */
  loadedBytes: number;
  totalBytes: number;
}

export interface EngineInfo {
  plan: Plan;
  chatTemplate: string | null;
  /** Spellings of the special tokens, empty where the model has none. */
  bosToken: string;
  eosToken: string;
}

export interface TokenizeOptions {
  /** Special tokens such as <|im_end|> in the text are parsed as such; default false. */
  special?: boolean;
  /** Whether a begin-of-sequence token is put in front; default 'auto': as the model wants. */
  bos?: 'auto' | 'on' | 'off';
}

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
}

/** A piece of the answer. */
export interface Piece {
  text: string;
  /** null: no token, but the rest of a character that the last token left unfinished. */
  token: number | null;
}

export type FinishReason = 'length' | 'stop' | 'cancelled' | 'context-full';

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

export interface Counters {
  dispatchesPerToken: number;
  submitsPerToken: number;
  buffersCreatedAfterLoad: number;
  bindGroupsCreatedAfterLoad: number;
  pipelinesCreatedAfterLoad: number;
  readbackBytesPerToken: number;
}

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
}

/** A model file as it travels to the engine. */
export type FileSpec =
  | { kind: 'url'; url: string }
  | { kind: 'blob'; blob: Blob }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'path'; path: string };
