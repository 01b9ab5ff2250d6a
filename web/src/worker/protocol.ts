// The messages between the API and the engine's worker. Each call has an id; its answers carry it.
import type { PronkErrorCode } from '../runtime/errors.js';
import type { ThreadStart } from '../runtime/threads.js';
import type {
  Constraint,
  EmbeddingOptions,
  EngineInfo,
  EngineOptions,
  FileSpec,
  GenerationResult,
  LoadProgress,
  Notice,
  Piece,
  Plan,
  SamplingOptions,
  Stats,
  TokenizeOptions,
  TuneResult,
} from '../runtime/types.js';

interface Model {
  files: FileSpec[];
  options: EngineOptions;
}

/** What can be asked of the worker. One worker loads one model. */
export interface Calls {
  plan: { arguments: Model; value: Plan };
  load: { arguments: Model; value: EngineInfo };
  tune: { arguments: Model & { seconds: number; missing: boolean }; value: TuneResult };
  tokenize: { arguments: { text: string; options: TokenizeOptions }; value: number[] };
  detokenize: { arguments: { ids: number[] }; value: string };
  generate: {
    arguments: { prompt: string | number[]; options: SamplingOptions; constraint?: Constraint; session: number };
    value: GenerationResult;
  };
  embed: {
    arguments: { texts: (string | number[])[]; options: EmbeddingOptions };
    value: Float32Array[];
  };
  /** Sessions are numbers that the caller chooses, 0 its first; one that was not opened, or that a crash took, is empty. */
  openSession: { arguments: { session: number; from: Uint8Array }; value: null };
  saveSession: { arguments: { session: number }; value: Uint8Array<ArrayBuffer> };
  closeSession: { arguments: { session: number }; value: null };
  stats: { arguments: null; value: Omit<Stats, 'recoveries'> };
  unload: { arguments: null; value: null };
}
export type CallName = keyof Calls;

export type ToWorker =
  | { [Name in CallName]: { type: 'call'; id: number; name: Name; arguments: Calls[Name]['arguments'] } }[CallName]
  | { type: 'abort'; id: number };

export type FromWorker =
  | { type: 'value'; id: number; value: Calls[CallName]['value'] }
  | { type: 'error'; id: number; code: PronkErrorCode; message: string }
  | { type: 'progress'; id: number; progress: LoadProgress }
  | { type: 'pieces'; id: number; pieces: Piece[] }
  | { type: 'notice'; notice: Notice; info: EngineInfo | null }; // info: how the model is loaded now; null: not yet

/** The first message to a browser's worker, which then says that it has started. */
export interface Start {
  type: 'start';
}

/** A browser's worker wants a thread of its page; what that says (FromThread) goes through the port. */
export interface NewThread {
  type: 'thread';
  start: ThreadStart;
  port: MessagePort;
}

/** A browser's worker holds this lock (Web Locks) for as long as it lives. */
export interface Started {
  type: 'started';
  lock: string;
}
