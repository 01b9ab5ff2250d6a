// A browser, in a worker.

import { openOpfs } from './cache-opfs.js';
import { cachedUrl } from './cached-source.js';
import { messageOf, PronkError } from './errors.js';
import { instantiate } from './module.js';
import type { Platform } from './platform.js';
import { Sha256 } from './sha256.js';
import { BlobSource, MemorySource } from './source.js';

async function compile(): Promise<WebAssembly.Module> {
  const url = new URL('../pronk.wasm', import.meta.url);
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    // compileStreaming() demands the type application/wasm, which not every server gives.
    if (response.headers.get('content-type')?.startsWith('application/wasm')) {
      return await WebAssembly.compileStreaming(response);
    }
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (error) {
    throw new PronkError('network', `pronk.wasm cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
}

export const browserPlatform: Platform = {
  async instantiate(gpu) {
    return instantiate(await compile(), gpu);
  },
  async gpu() {
    if (navigator.gpu) return navigator.gpu;
    return isSecureContext ? 'this browser has no WebGPU' : 'WebGPU needs https or localhost';
  },
  source(spec) {
    switch (spec.kind) {
      case 'url':
        return cachedUrl(spec, { folder: openOpfs, startHash: () => new Sha256() });
      case 'blob':
        return new BlobSource(spec.blob);
      case 'bytes':
        return new MemorySource(spec.bytes);
      case 'path':
        throw new PronkError('bad-argument', 'a browser cannot open a path; give a File or a URL');
    }
  },
};
