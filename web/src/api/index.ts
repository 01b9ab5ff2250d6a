// The package in a browser. In Node src/api/node.ts stands in its place, with the same names.
import type { FileSpec, Plan } from '../runtime/types.js';
import { connectWorker } from '../worker/connect-worker.js';
import { Engine, type LoadOptions } from './engine.js';
import { fileSpecs, type ModelSource } from './sources.js';

export { PronkError, type PronkErrorCode } from '../runtime/errors.js';
export type * from '../runtime/types.js';
export type { GenerateOptions, LoadOptions } from './engine.js';
export type { Generation } from './generation.js';
export type { ModelFile, ModelSource } from './sources.js';

function urlSpec(text: string): FileSpec {
  const base = typeof document === 'undefined' ? location.href : document.baseURI;
  return { kind: 'url', url: new URL(text, base).href };
}

// Bytes go as a Blob: postMessage() would put a second copy of them on the worker's heap.
function filesOf(source: ModelSource): FileSpec[] {
  return fileSpecs(source, urlSpec).map((spec) =>
    spec.kind === 'bytes' ? { kind: 'blob', blob: new Blob([spec.bytes as Uint8Array<ArrayBuffer>]) } : spec,
  );
}

/** A language model in a dedicated worker. */
export class Pronk extends Engine {
  /** Loads a model; `options.onProgress` follows it, `options.signal` ends it. */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Pronk> {
    return new Pronk(...(await Engine.loadFiles(connectWorker, filesOf(source), options)));
  }

  /** What load() would cost, from the first bytes of the file alone. */
  static async plan(source: ModelSource, options: LoadOptions = {}): Promise<Plan> {
    return Engine.planFiles(connectWorker, filesOf(source), options);
  }
}
