// What a device's kernels take, measured by the built package in Node and kept for the next load.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { LoadOptions, Pronk as PronkType } from '../../src/api/node.js';
import { ErrorCode } from '../../src/runtime/abi.js';
import { finishTuning, takeTuning } from '../../src/runtime/kernel-tuning.js';
import { EngineModule } from '../../src/runtime/module.js';
import { FakeModule } from '../support/fake-module.js';
import { tinyModel } from '../support/tiny-gguf.js';

const built = '../../dist/api/node.js';
const { Pronk } = (await import(built).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');

const folder = mkdtempSync(join(tmpdir(), 'pronk-tune-'));
afterAll(() => rmSync(folder, { recursive: true }));

const model = tinyModel()[0]!;
const options: LoadOptions = { device: 'webgpu', cache: folder };
const noGpu = await Pronk.plan(model, options).then(
  () => '',
  (error: Error) => error.message,
);
if (noGpu) console.log(`skipped: measuring kernels: ${noGpu}`);

async function answer(engine: PronkType): Promise<number[]> {
  const tokens: number[] = [];
  const prompt = Array.from({ length: 40 }, (_, i) => 5 + ((i * 7) % 60)); // enough of them for a GEMM
  for await (const { token } of engine.generate(prompt, { temperature: 0, maxTokens: 12, ignoreEos: true })) {
    if (token !== null) tokens.push(token);
  }
  return tokens;
}

describe('tune()', () => {
  it('measures a loaded model, and the next load takes what was fastest', async (context) => {
    if (noGpu) return context.skip(noGpu);
    const engine = await Pronk.load(model, options);
    const before = await answer(engine);
    const { problems, choices } = await engine.tune({ seconds: 3 });
    expect(problems).toBeGreaterThan(3);
    expect(choices.length).toBeGreaterThan(0);
    for (const { kernel, standard, fastest, standardMicroseconds, fastestMicroseconds } of choices) {
      expect(kernel).toMatch(/^(matvec|gemm|attention)/);
      expect(fastestMicroseconds).toBeLessThanOrEqual(standardMicroseconds);
      if (fastest !== standard) expect(fastestMicroseconds).toBeLessThan(0.98 * standardMicroseconds);
    }
    expect(await answer(engine)).toEqual(before); // it is as it was
    const rest = await engine.tune({ seconds: 1, missing: true });
    expect(rest.problems).toBe(problems - choices.length);
    await engine.unload();

    const [file] = readdirSync(folder);
    expect(file).toMatch(/^tuning-[0-9a-f]{16}\.txt$/);
    const text = readFileSync(join(folder, file!), 'utf8');
    for (const { kernel, fastest } of [...choices, ...rest.choices]) expect(text).toContain(`${kernel} = ${fastest}\n`);
    const next = await Pronk.load(model, options);
    expect(await answer(next)).toEqual(before);
    await next.unload();

    writeFileSync(join(folder, file!), text.replace('pronk tuning 1', 'pronk tuning 9'));
    const despite = await Pronk.load(model, options);
    expect(await answer(despite)).toEqual(before);
    await despite.unload();
  });

  it('ends when it is aborted, and keeps nothing where nothing is to be kept', async (context) => {
    if (noGpu) return context.skip(noGpu);
    const engine = await Pronk.load(model, { device: 'webgpu', cache: false });
    const kept = readdirSync(folder);
    const abort = new AbortController();
    const measured = engine.tune({ signal: abort.signal });
    setTimeout(() => abort.abort(), 300);
    await expect(measured).rejects.toMatchObject({ code: 'aborted' });
    await engine.tune({ seconds: 1 });
    expect(readdirSync(folder)).toEqual(kept);
    await expect(engine.tune({ seconds: 0 })).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(engine.tune({ second: 1 } as object)).rejects.toThrow("there is no option 'second'");
    await engine.unload();
  });
});

describe('what was measured when it is aborted', () => {
  const abortAfter = async (choices: string): Promise<string[]> => {
    const fake = new FakeModule();
    const abort = new AbortController();
    const written: string[] = [];
    Object.assign(fake.exports, {
      pronk_adapter: () => fake.text('a GPU'),
      pronk_tune_pump: () => 0,
      pronk_tune_end: () => {
        fake.text(JSON.stringify({ text: 'choices so far', problems: 9, choices }));
        return 1;
      },
    });
    const store = { readText: async () => null, writeText: async (_: string, text: string) => void written.push(text) };
    const finished = finishTuning(new EngineModule(fake.exports), store, async () => abort.abort(), abort.signal);
    await expect(finished).rejects.toMatchObject({ code: 'aborted' });
    return written;
  };

  it('is kept; where that is nothing, what was kept before stays', async () => {
    expect(await abortAfter('a\tb\tb\t1\t1\n')).toEqual(['choices so far']);
    expect(await abortAfter('')).toEqual([]);
  });
});

describe('what was measured before', () => {
  const take = async (text: string | null, failure: ErrorCode | null = null): Promise<string[]> => {
    const fake = new FakeModule();
    const given: string[] = [];
    const asked: string[] = [];
    Object.assign(fake.exports, {
      pronk_adapter: () => fake.text('a GPU'),
      pronk_set_tuning: (at: number, length: number) => {
        given.push(new TextDecoder().decode(new Uint8Array(fake.exports.memory.buffer, at, length).slice()));
        return failure === null ? 0 : fake.error(failure, 'not taken');
      },
    });
    const store = {
      readText: async (name: string) => {
        asked.push(name);
        return text;
      },
      writeText: async () => {},
    };
    await takeTuning(new EngineModule(fake.exports), store);
    expect(asked).toEqual(['tuning-c0e0f8eef9bde5bc.txt']);
    return given;
  };

  it('goes to the module', async () => {
    expect(await take('choices')).toEqual(['choices']);
    expect(await take(null)).toEqual([]);
  });

  it('counts as nothing where it is foreign; other failures count', async () => {
    expect(await take('foreign', ErrorCode.badArgument)).toEqual(['foreign']);
    await expect(take('choices', ErrorCode.internal)).rejects.toMatchObject({ code: 'internal' });
  });
});
