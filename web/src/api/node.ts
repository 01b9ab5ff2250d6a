// The package in Node: the engine in the calling thread, WebGPU by the npm package `webgpu` where it is installed.
import { totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ModelCache } from '../runtime/cache.js';
import { defaultCacheFolder, PlainFolder } from '../runtime/cache-folder.js';
import { PronkError } from '../runtime/errors.js';
import { hubUrl } from '../runtime/hub.js';
import { nodePlatform } from '../runtime/platform-node.js';
import type { FileSpec, Plan } from '../runtime/types.js';
import { connectLocally } from '../worker/connect-local.js';
import './builtin-model.js';
import { checkLoadOptions, Engine, type Home, type LoadOptions } from './engine.js';
import { fileSpecs, type ModelSource } from './sources.js';
import { startTemplateWorker } from './template/start-node.js';

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

function urlOrPath(text: string): FileSpec {
  if (/^https?:/i.test(text)) return { kind: 'url', url: new URL(text).href };
  return { kind: 'path', path: /^file:/i.test(text) ? fileURLToPath(text) : text };
}

const home: Home = {
  connect: connectLocally(nodePlatform),
  defaultBudget: () => Math.floor(totalmem() / 2),
  warn: (message) => process.emitWarning(message, 'PronkWarning'),
  startTemplateWorker,
};

function hubEndpoint(): string | undefined {
  return process.env['PRONK_HF_ENDPOINT'] || undefined;
}

function filesOf(source: ModelSource, options: LoadOptions): FileSpec[] {
  checkLoadOptions(options);
  for (const name of ['worker', 'wasmUrl'] as const) {
    if (options[name] !== undefined) throw new PronkError('bad-argument', `${name} is for browsers alone`);
  }
  return fileSpecs(source, urlOrPath, { hubEndpoint: hubEndpoint(), ...options });
}

function cacheIn(folder: () => string): ModelCache {
  return new ModelCache(
    async () => new PlainFolder(folder()),
    (name) => hubUrl(name, hubEndpoint()) ?? new URL(name).href,
  );
}

/** A language model. */
export class Pronk extends Engine {
  /** The model files that are kept on this machine, in $XDG_CACHE_HOME/pronk or ~/.cache/pronk. */
  static readonly cache = cacheIn(defaultCacheFolder);

  /** Those that load() was told to keep in another folder. */
  static cacheIn(folder: string): ModelCache {
    return cacheIn(() => folder);
  }

  /** Loads a model; `options.onProgress` follows it, `options.signal` ends it. */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Pronk> {
    return new Pronk(await Engine.loadFiles(home, filesOf(source, options), options), home);
  }

  /** What load() would cost and whether it fits, from the first bytes of the file alone. Not to fit is no error. */
  static async plan(source: ModelSource, options: LoadOptions = {}): Promise<Plan> {
    return Engine.planFiles(home, filesOf(source, options), options);
  }
}
