// A browser. Who starts its threads depends on where the engine runs: see thread-worker.ts.

import { openOpfs } from './cache-opfs.js';
import { cachedUrl } from './cached-source.js';
import { messageOf, PronkError } from './errors.js';
import { Md5 } from './md5.js';
import { instantiate, instantiateFolder } from './module.js';
import { chooseModule, folderModuleFile, type ModuleName, moduleFiles } from './module-choice.js';
import type { Platform } from './platform.js';
import { Sha256 } from './sha256.js';
import { BlobSource, MemorySource } from './source.js';

// Bundlers find files by this very form of the expression.
const urls: Record<ModuleName, () => URL> = {
  plain: () => new URL('../pronk.wasm', import.meta.url),
  threads: () => new URL('../pronk-threads.wasm', import.meta.url),
  relaxed: () => new URL('../pronk-relaxed.wasm', import.meta.url),
  tune: () => new URL('../pronk-tune.wasm', import.meta.url),
};
const folderUrl = (): URL => new URL('../pronk-folder.wasm', import.meta.url);

/** folder: where the modules are, in place of beside the package. */
async function compile(file: string, own: () => URL, folder: string | undefined): Promise<WebAssembly.Module> {
  try {
    const response = await fetch(folder === undefined ? own() : new URL(file, folder));
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    // compileStreaming() demands the type application/wasm, which not every server gives.
    if (response.headers.get('content-type')?.startsWith('application/wasm')) {
      return await WebAssembly.compileStreaming(response);
    }
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (error) {
    throw new PronkError('network', `${file} cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
}

function missingForThreads(): string {
  if (!crossOriginIsolated) return 'the page is not cross-origin isolated (headers COOP and COEP)';
  return typeof SharedArrayBuffer === 'undefined' ? 'this browser has no SharedArrayBuffer' : '';
}

export const isFirefox = (): boolean => /\bFirefox\//.test(navigator.userAgent);

export const browserPlatform: Omit<Platform, 'startThread'> = {
  async instantiate(gpu, work, folder) {
    const { name, memory } = chooseModule(work);
    return instantiate(await compile(moduleFiles[name], urls[name], folder), gpu, memory);
  },
  folderModule: async (folder) => instantiateFolder(await compile(folderModuleFile, folderUrl, folder)),
  listFolder: async () => null,
  // Where nobody has tested them, threads are for those who ask. navigator.userAgentData is Chromium's.
  threads: () => ({
    processors: 'userAgentData' in navigator || isFirefox() ? navigator.hardwareConcurrency || 1 : 1,
    missing: missingForThreads(),
  }),
  async gpu() {
    if (navigator.gpu) return navigator.gpu;
    return isSecureContext ? 'this browser has no WebGPU' : 'WebGPU needs https or localhost';
  },
  texts: async (cache) => (cache === false ? null : openOpfs()),
  startMd5: () => new Md5(),
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
