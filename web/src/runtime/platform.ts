// What differs between a browser and Node.

import type { GpuHost } from './gpu.js';
import type { EngineModule } from './module.js';
import type { ByteSource } from './source.js';
import type { FileSpec } from './types.js';

export interface Platform {
  instantiate(gpu: GpuHost | null): Promise<EngineModule>;
  /** WebGPU, or why there is none. */
  gpu(): Promise<GPU | string>;
  source(spec: FileSpec): ByteSource;
}
