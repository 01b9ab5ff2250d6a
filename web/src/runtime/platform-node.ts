// Node, in the calling thread.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { defaultCacheFolder, PlainFolder } from './cache-folder.js';
import { cachedUrl } from './cached-source.js';
import { messageOf, PronkError } from './errors.js';
import { createNodeGpu } from './gpu-node.js';
import type { RunningHash } from './hash.js';
import { instantiate, instantiateFolder } from './module.js';
import { chooseModule, folderModuleFile, moduleFiles } from './module-choice.js';
import type { Platform } from './platform.js';
import { BlobSource, MemorySource } from './source.js';
import { PathSource } from './source-node.js';
import type { FromThread } from './threads.js';

async function compile(file: string): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(await readFile(new URL(`../${file}`, import.meta.url)));
  } catch (error) {
    throw new PronkError('network', `${file} cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
}

function startHash(algorithm: 'sha256' | 'md5'): RunningHash {
  const hash = createHash(algorithm);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
}

export const nodePlatform: Platform = {
  async instantiate(gpu, work) {
    const { name, memory } = chooseModule(work);
    return instantiate(await compile(moduleFiles[name]), gpu, memory);
  },
  folderModule: async () => instantiateFolder(await compile(folderModuleFile)),
  async listFolder(path) {
    try {
      return await readdir(path);
    } catch {
      return null; // a file, or nothing, of which its reader tells
    }
  },
  threads: () => ({ processors: availableParallelism(), missing: '' }),
  startThread(start, onMessage) {
    const worker = new Worker(new URL('./thread-node.js', import.meta.url), { name: 'pronk', workerData: start });
    worker.on('message', (message: FromThread) => onMessage(message));
    worker.on('error', (error) => onMessage({ type: 'ended', why: error.message }));
    worker.unref(); // an engine that waits keeps no program from ending; after the listeners, which take hold again
    return { end: () => worker.terminate() };
  },
  async gpu() {
    try {
      return await createNodeGpu(process.env.PRONK_DAWN?.split(' ').filter((option) => option)); // for experiments
    } catch (error) {
      const missing = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
      return missing ? 'the npm package webgpu is not installed' : messageOf(error);
    }
  },
  async texts(cache) {
    return cache === false ? null : new PlainFolder(typeof cache === 'string' ? cache : defaultCacheFolder());
  },
  startMd5: () => startHash('md5'),
  source(spec) {
    switch (spec.kind) {
      case 'url':
        return cachedUrl(spec, {
          folder: async () => new PlainFolder(typeof spec.cache === 'string' ? spec.cache : defaultCacheFolder()),
          startHash: () => startHash('sha256'),
        });
      case 'blob':
        return new BlobSource(spec.blob);
      case 'bytes':
        return new MemorySource(spec.bytes);
      case 'path':
        return new PathSource(spec.path);
    }
  },
};
