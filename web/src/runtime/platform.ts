// What differs between a browser and Node.

import type { GpuHost } from './gpu.js';
import type { EngineModule, FolderExports, WasmModule } from './module.js';
import type { ByteSource } from './source.js';
import type { StartThread, ThreadSupport } from './threads.js';
import type { FileSpec } from './types.js';

export interface Platform {
  /**
   * threads: that the CPU is to have, 0 where a GPU does the work; with a module that is not shared it has one. folder:
   * EngineOptions.wasmUrl.
   */
  instantiate(gpu: GpuHost | null, threads: number, folder?: string): Promise<EngineModule>;
  threads(): ThreadSupport;
  startThread: StartThread;
  /** WebGPU, or why there is none. */
  gpu(): Promise<GPU | string>;
  source(spec: FileSpec): ByteSource;
  /** An instance of pronk-folder.wasm; folder: as above. */
  folderModule(folder?: string): Promise<WasmModule<FolderExports>>;
  /** The names in a folder of the file system; null: the path is none. */
  listFolder(path: string): Promise<string[] | null>;
}
