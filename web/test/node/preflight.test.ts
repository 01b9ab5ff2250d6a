// The built package says what a model takes before it takes it.
import { totalmem } from 'node:os';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LoadOptions, Plan, Pronk as PronkType } from '../../src/api/node.js';
import { tinyModel } from '../support/tiny-gguf.js';

const built = '../../dist/api/node.js';
const { Pronk } = (await import(built).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');

const file = tinyModel()[0]!;
const plan = (options: LoadOptions): Promise<Plan> => Pronk.plan(file, options);

const open: PronkType[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.unload()));
});
async function load(options: LoadOptions): Promise<PronkType> {
  const engine = await Pronk.load(file, options);
  open.push(engine);
  return engine;
}

let devices: ('cpu' | 'webgpu')[] = ['cpu', 'webgpu'];
beforeAll(async () => {
  const reason = await plan({ device: 'webgpu' }).then(
    () => '',
    (error: Error) => error.message,
  );
  if (!reason) return;
  console.log(`skipped: the tests on WebGPU: ${reason}`);
  devices = ['cpu'];
});

describe('a plan', () => {
  it('fits, and is what is allocated, at the largest context of a budget', async () => {
    for (const device of devices) {
      const whole = await plan({ device, contextSize: 'auto' });
      expect(whole).toMatchObject({
        fits: true,
        refusal: '',
        contextLength: 256,
        largestContext: 256,
        trainedContextLength: 256,
      });
      expect(whole.memoryBudget).toBe(Math.floor(totalmem() / 2));
      expect(whole.memory.activations).toBeGreaterThanOrEqual(whole.activationsLowerBound);

      const memoryBudget = whole.memory.total - 8000;
      const tight = await plan({ device, contextSize: 'auto', memoryBudget });
      expect(tight.fits).toBe(true);
      expect(tight.contextLength).toBe(tight.largestContext);
      expect(tight.contextLength).toBeLessThan(256);
      expect(tight.memory.total).toBeLessThanOrEqual(memoryBudget);
      const more = await plan({ device, contextSize: tight.contextLength + 1, memoryBudget });
      expect(more).toMatchObject({ fits: false, largestContext: tight.contextLength });

      const engine = await load({ device, contextSize: 'auto', memoryBudget });
      expect(engine.plan).toEqual(tight);
      expect((await engine.stats()).allocated).toEqual(tight.memory);
      const prompt = Array<number>(tight.contextLength - 5).fill(270);
      const { generatedTokens, finishReason } = await engine.generate(prompt, { ignoreEos: true, temperature: 0 })
        .result;
      expect(finishReason).toMatch(/context-full|length/);
      expect(generatedTokens).toBe(6); // the last one needs no place
    }
  }, 300_000);

  it('that does not fit says by how much and what would; load() refuses in the same words', async () => {
    for (const device of devices) {
      const { memory } = await plan({ device });
      const memoryBudget = memory.total - 8000;
      const over = await plan({ device, memoryBudget });
      expect(over).toMatchObject({ fits: false, memory, memoryBudget });
      expect(over.refusal).toMatch(
        /^with a context of 256 tokens the model needs .* MB, over the budget of .* MB; \d+ tokens would fit/,
      );
      expect(over.refusal).toContain(`${over.largestContext} tokens`);
      await expect(load({ device, memoryBudget })).rejects.toMatchObject({
        code: 'out-of-memory',
        message: over.refusal,
      });

      const none = await plan({ device, contextSize: 'auto', memoryBudget: 1 });
      expect(none).toMatchObject({ fits: false, largestContext: 0 });
      expect(none.refusal).toContain('no shorter context would fit either');
      await expect(load({ device, contextSize: 'auto', memoryBudget: 1 })).rejects.toMatchObject({
        code: 'out-of-memory',
      });
    }
  });

  it('without a budget has no bound but the device', async () => {
    expect(await plan({ device: 'cpu' })).toMatchObject({ fits: true, memoryBudget: null });
  });
});
