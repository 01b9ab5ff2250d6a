// The package in a browser. In Node src/api/node.ts stands in its place, with the same names.
import { type BrowserMemory, browserBudget } from '../runtime/budget.js';
import { ModelCache } from '../runtime/cache.js';
import { openOpfs } from '../runtime/cache-opfs.js';
import { PronkError } from '../runtime/errors.js';
import { hubUrl } from '../runtime/hub.js';
import type { FileSpec, Plan } from '../runtime/types.js';
import { connectGiven, connectWorker } from '../worker/connect-worker.js';
import { checkLoadOptions, Engine, type Home, type LoadOptions } from './engine.js';
import { fileSpecs, type ModelSource } from './sources.js';
import { startTemplateWorker } from './template/start-browser.js';

export type { CacheEntry, ModelCache } from '../runtime/cache.js';
export { PronkError, type PronkErrorCode } from '../runtime/errors.js';
export type * from '../runtime/types.js';
export type { GivenWorker } from '../worker/connect-worker.js';
export type { EmbedOptions, GenerateOptions, LoadOptions, SessionOptions, TuneOptions } from './engine.js';
export type { Generation } from './generation.js';
export type { EnginePlace } from './in-thread.js';
export type { ChatCompletions } from './openai/chat.js';
export type { Completions } from './openai/completions.js';
export type { Embeddings } from './openai/embeddings.js';
export type { TextEngine } from './openai/engine.js';
export type { Stream } from './openai/stream.js';
export type * from './openai/types.js';
export type { Session } from './session.js';
export type { ModelFile, ModelSource, SourceOptions } from './sources.js';

function urlSpec(text: string): FileSpec & { kind: 'url' } {
  const base = typeof document === 'undefined' ? location.href : document.baseURI;
  return { kind: 'url', url: new URL(text, base).href };
}

// Bytes go as a Blob: postMessage() would put a second copy of them on the worker's heap.
function filesOf(source: ModelSource, options: LoadOptions): FileSpec[] {
  checkLoadOptions(options);
  if (typeof options.cache === 'string') {
    throw new PronkError('bad-argument', 'a browser has one cache, not a folder for it');
  }
  return fileSpecs(source, urlSpec, options).map((spec) =>
    spec.kind === 'bytes' ? { kind: 'blob', blob: new Blob([spec.bytes as Uint8Array<ArrayBuffer>]) } : spec,
  );
}

const home: Home = {
  connect: connectWorker,
  defaultBudget: () => browserBudget(navigator as BrowserMemory),
  warn: (message) => console.warn(`pronk: ${message}`),
  startTemplateWorker,
};

/** As the options say. */
function placeOf({ worker }: LoadOptions): Home {
  if (worker === undefined) return home;
  if (typeof worker === 'function' || (typeof Worker !== 'undefined' && worker instanceof Worker)) {
    return { ...home, connect: connectGiven(worker) };
  }
  if (typeof worker === 'object' && worker !== null && 'connect' in worker) return { ...home, ...worker };
  throw new PronkError(
    'bad-argument',
    `worker is ${String(worker)}, not a Worker, a function that makes one, or inThread`,
  );
}

/** The folder of the modules as an address. */
function absolute(options: LoadOptions): LoadOptions {
  const { wasmUrl } = options;
  return typeof wasmUrl === 'string' ? { ...options, wasmUrl: urlSpec(wasmUrl).url } : options;
}

/** A language model in a dedicated worker. */
export class Pronk extends Engine {
  /** The model files that are kept in this browser for this site. */
  static readonly cache = new ModelCache(openOpfs, (name) => hubUrl(name) ?? urlSpec(name).url);

  /** Loads a model; `options.onProgress` follows it, `options.signal` ends it. */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Pronk> {
    const place = placeOf(options);
    return new Pronk(await Engine.loadFiles(place, filesOf(source, options), absolute(options)), place);
  }

  /** What load() would cost and whether it fits, from the first bytes of the file alone. Not to fit is no error. */
  static async plan(source: ModelSource, options: LoadOptions = {}): Promise<Plan> {
    return Engine.planFiles(placeOf(options), filesOf(source, options), absolute(options));
  }
}
