// Node, in the calling thread.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { defaultCacheFolder, PlainFolder } from './cache-folder.js';
import { cachedUrl } from './cached-source.js';
import { messageOf, PronkError } from './errors.js';
import { createNodeGpu } from './gpu-node.js';
import { instantiate } from './module.js';
import type { Platform } from './platform.js';
import { BlobSource, MemorySource } from './source.js';
import { PathSource } from './source-node.js';

async function compile(): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(await readFile(new URL('../pronk.wasm', import.meta.url)));
  } catch (error) {
    throw new PronkError('network', `pronk.wasm cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
}

export const nodePlatform: Platform = {
  async instantiate(gpu) {
    return instantiate(await compile(), gpu);
  },
  async gpu() {
    try {
      return await createNodeGpu();
    } catch (error) {
      const missing = (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND';
      return missing ? 'the npm package webgpu is not installed' : messageOf(error);
    }
  },
  source(spec) {
    switch (spec.kind) {
      case 'url':
        return cachedUrl(spec, {
          folder: async () => new PlainFolder(typeof spec.cache === 'string' ? spec.cache : defaultCacheFolder()),
          startHash: () => {
            const hash = createHash('sha256');
            return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
          },
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
