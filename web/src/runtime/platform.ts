// What differs between a browser and Node.

import type { CacheFolder } from './cache.js';
import type { GpuHost } from './gpu.js';
import type { RunningHash } from './hash.js';
import type { EngineModule, FolderExports, WasmModule } from './module.js';
import type { Work } from './module-choice.js';
import type { ByteSource } from './source.js';
import type { StartThread, ThreadSupport } from './threads.js';
import type { FileSpec } from './types.js';

export interface Platform {
  /** With a module that is not shared the CPU has one thread. folder: EngineOptions.wasmUrl. */
  instantiate(gpu: GpuHost | null, work: Work, folder?: string): Promise<EngineModule>;
  threads(): ThreadSupport;
  startThread: StartThread;
  /** WebGPU, or why there is none. */
  gpu(): Promise<GPU | string>;
  source(spec: FileSpec): ByteSource;
  startMd5(): RunningHash;
  /** The cache, in which what is measured of this device lies, too; null: there is none. cache: as in EngineOptions. */
  texts(cache: boolean | string): Promise<CacheFolder | null>;
  /** An instance of pronk-folder.wasm; folder: as above. */
  folderModule(folder?: string): Promise<WasmModule<FolderExports>>;
  /** The names in a folder of the file system; null: the path is none. */
  listFolder(path: string): Promise<string[] | null>;
}
