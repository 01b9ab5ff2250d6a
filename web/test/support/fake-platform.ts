import { UrlSource } from '../../src/runtime/http-source.js';
import { Md5 } from '../../src/runtime/md5.js';
import { EngineModule } from '../../src/runtime/module.js';
import type { Platform } from '../../src/runtime/platform.js';
import { BlobSource, MemorySource } from '../../src/runtime/source.js';
import { FakeModule } from './fake-module.js';

/** Each engine opened gets a FakeModule; `made` has them in order, and `prepare` sees each before it is used. */
export function fakePlatform(
  prepare: (module: FakeModule, index: number) => void = () => {},
  gpu: GPU | string = 'no GPU in this test',
): Platform & { made: FakeModule[] } {
  const made: FakeModule[] = [];
  return {
    made,
    async instantiate() {
      const module = new FakeModule();
      prepare(module, made.length);
      made.push(module);
      return new EngineModule(module.exports);
    },
    threads: () => ({ processors: 1, missing: 'there are no threads in this test' }),
    startThread() {
      throw new Error('no thread in this test');
    },
    async folderModule() {
      throw new Error('no folder in this test');
    },
    listFolder: async () => null,
    async gpu() {
      return gpu;
    },
    startMd5: () => new Md5(),
    texts: async () => null,
    source(spec) {
      if (spec.kind === 'url') return new UrlSource(spec.url, { delays: [1, 1] });
      if (spec.kind === 'blob') return new BlobSource(spec.blob);
      if (spec.kind === 'bytes') return new MemorySource(spec.bytes);
      throw new Error('no paths in this test');
    },
  };
}
