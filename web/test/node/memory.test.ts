// The WASM module's memory: small with a GPU, whatever the model.
import { expect, it } from 'vitest';
import { tinyModel } from '../support/tiny-gguf.js';

const built = '../../dist/api/node.js';
const { Pronk } = (await import(built).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');

const most = 32 << 20;

it('holds a vocabulary of 128256 tokens and 280147 merges in 32 MiB, through loading and generating', async (context) => {
  const [model] = tinyModel({ largeVocabulary: true });
  const noGpu = await Pronk.plan(tinyModel()[0]!, { device: 'webgpu' }).then(
    () => '',
    (error: Error) => error.message,
  );
  if (noGpu) {
    console.log(`skipped: ${noGpu}`);
    return context.skip();
  }
  const engine = await Pronk.load(model!, { device: 'webgpu', contextSize: 4096 });
  try {
    expect(engine.plan.vocabSize).toBe(128_256);
    expect(await engine.tokenize('abcd')).toHaveLength(1);
    const { generatedTokens } = await engine.generate('the old engine', {
      maxTokens: 4,
      temperature: 0,
      ignoreEos: true,
    }).result;
    expect(generatedTokens).toBe(4);
    const { heapBytes } = await engine.stats();
    console.log(`WASM heap with a header of Llama 3's size: ${(heapBytes / 2 ** 20).toFixed(1)} MiB`);
    expect(heapBytes).toBeLessThanOrEqual(most);
  } finally {
    await engine.unload();
  }
});
