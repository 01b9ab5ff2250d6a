// What differs between a browser and Node.

import type { GpuHost } from './gpu.js';
import type { RunningHash } from './hash.js';
import type { TextStore } from './kernel-tuning.js';
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
  /** Where what is measured of this device lies; null: nowhere. cache: as in EngineOptions. */
  texts(cache: boolean | string): Promise<TextStore | null>;
  /** An instance of pronk-folder.wasm; folder: as above. */
  folderModule(folder?: string): Promise<WasmModule<FolderExports>>;
  /** The names in a folder of the file system; null: the path is none. */
  listFolder(path: string): Promise<string[] | null>;
}
