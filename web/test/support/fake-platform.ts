import { EngineModule } from '../../src/runtime/module.js';
import type { Platform } from '../../src/runtime/platform.js';
import { BlobSource, MemorySource, UrlSource } from '../../src/runtime/source.js';
import { FakeModule } from './fake-module.js';

/** Each engine opened gets a FakeModule; `made` has them in order, and `prepare` sees each before it is used. */
export function fakePlatform(prepare: (module: FakeModule) => void = () => {}): Platform & { made: FakeModule[] } {
  const made: FakeModule[] = [];
  return {
    made,
    async instantiate() {
      const module = new FakeModule();
      prepare(module);
      made.push(module);
      return new EngineModule(module.exports);
    },
    async gpu() {
      return 'no GPU in this test';
    },
    source(spec) {
      if (spec.kind === 'url') return new UrlSource(spec.url, fetch, [1, 1]);
      if (spec.kind === 'blob') return new BlobSource(spec.blob);
      if (spec.kind === 'bytes') return new MemorySource(spec.bytes);
      throw new Error('no paths in this test');
    },
  };
}
