// The package in Node: the engine in the calling thread, WebGPU by the npm package `webgpu` where it is installed.
import { fileURLToPath } from 'node:url';
import { nodePlatform } from '../runtime/platform-node.js';
import type { FileSpec, Plan } from '../runtime/types.js';
import { connectLocally } from '../worker/connect-local.js';
import { Engine, type LoadOptions } from './engine.js';
import { fileSpecs, type ModelSource } from './sources.js';

export { PronkError, type PronkErrorCode } from '../runtime/errors.js';
export type * from '../runtime/types.js';
export type { GenerateOptions, LoadOptions } from './engine.js';
export type { Generation } from './generation.js';
export type { ModelFile, ModelSource } from './sources.js';

function urlOrPath(text: string): FileSpec {
  if (/^https?:/i.test(text)) return { kind: 'url', url: text };
  return { kind: 'path', path: /^file:/i.test(text) ? fileURLToPath(text) : text };
}

/** A language model. */
export class Pronk extends Engine {
  /** Loads a model; `options.onProgress` follows it, `options.signal` ends it. */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Pronk> {
    const loaded = await Engine.loadFiles(connectLocally(nodePlatform), fileSpecs(source, urlOrPath), options);
    const engine = new Pronk(...loaded);
    if (engine.plan.deviceNote) process.emitWarning(`${engine.plan.deviceNote}; running on the CPU`, 'PronkWarning');
    return engine;
  }

  /** What load() would cost, from the first bytes of the file alone. */
  static async plan(source: ModelSource, options: LoadOptions = {}): Promise<Plan> {
    return Engine.planFiles(connectLocally(nodePlatform), fileSpecs(source, urlOrPath), options);
  }
}
