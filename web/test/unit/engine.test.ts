// The engine from its API down to the module's exports, with a module that is a double.
import { afterEach, describe, expect, it } from 'vitest';
import { Engine, type LoadOptions } from '../../src/api/engine.js';
import { fileSpecs, type ModelSource } from '../../src/api/sources.js';
import type { Platform } from '../../src/runtime/platform.js';
import type { LoadProgress, Piece, Plan } from '../../src/runtime/types.js';
import { connectLocally } from '../../src/worker/connect-local.js';
import { fakeModel } from '../support/fake-module.js';
import { fakePlatform } from '../support/fake-platform.js';
import { testHome } from '../support/test-home.js';

const ofString = (url: string) => ({ kind: 'url', url }) as const;
const home = (platform: Platform) => testHome(connectLocally(platform));

class TestEngine extends Engine {
  static async load(platform: Platform, source: ModelSource, options: LoadOptions = {}): Promise<TestEngine> {
    const engine = new TestEngine(
      await Engine.loadFiles(home(platform), fileSpecs(source, ofString), options),
      home(platform),
    );
    opened.push(engine);
    return engine;
  }
  static plan(platform: Platform, source: ModelSource, options: LoadOptions = {}): Promise<Plan> {
    return Engine.planFiles(home(platform), fileSpecs(source, ofString), options);
  }
}

const opened: Engine[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.unload()));
});

async function collect(pieces: AsyncIterable<Piece>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece.text;
  return text;
}

describe('loading', () => {
  it('streams every byte of the weights to its place', async () => {
    const platform = fakePlatform();
    const model = fakeModel(50_000, 3000);
    const progress: LoadProgress[] = [];
    await TestEngine.load(platform, new Blob([model]), { onProgress: (p) => progress.push(p) });
    expect(Uint8Array.from(platform.made[0]!.files[0]!.received)).toEqual(model.subarray(3000));
    expect(progress[0]).toMatchObject({ phase: 'header' });
    expect(progress.at(-1)).toEqual({ phase: 'prepare', loadedBytes: 50_000, totalBytes: 50_000 });
  });

  it('asks for more of a header that is longer than its first read', async () => {
    const platform = fakePlatform();
    const model = fakeModel(10_000, 3 << 20);
    await TestEngine.load(platform, model);
    expect(platform.made[0]!.calls.slice(0, 2)).toEqual([
      `header 0 ${1 << 20} ${model.length}`,
      `header 0 ${3 << 20} ${model.length}`,
    ]);
    expect(Uint8Array.from(platform.made[0]!.files[0]!.received)).toEqual(model.subarray(3 << 20));
  });

  it('loads shards in the order of their names', async () => {
    const platform = fakePlatform();
    const shard = (i: number): File => new File([fakeModel(100 * i, 64, 2)], `m-0000${i}-of-00002.gguf`);
    await TestEngine.load(platform, [shard(2), shard(1)]);
    expect(platform.made[0]!.files.map((file) => file.received.length)).toEqual([100, 200]);
  });

  it('names the shards when some are missing', async () => {
    const load = TestEngine.load(fakePlatform(), fakeModel(100, 64, 3));
    await expect(load).rejects.toMatchObject({ code: 'bad-argument', message: expect.stringContaining('part 3') });
  });

  it('says what a file is not', async () => {
    const load = TestEngine.load(fakePlatform(), new Uint8Array(100));
    await expect(load).rejects.toMatchObject({ code: 'bad-model', message: 'magic: not a fake file' });
    const short = TestEngine.load(fakePlatform(), fakeModel(100, 5000).subarray(0, 4000));
    await expect(short).rejects.toMatchObject({ code: 'bad-model', message: expect.stringContaining('header') });
    const cut = TestEngine.load(fakePlatform(), fakeModel(100, 64).subarray(0, 100));
    await expect(cut).rejects.toMatchObject({
      code: 'bad-model',
      message: expect.stringContaining('ends at byte 100'),
    });
  });

  it('plans without loading and frees the module', async () => {
    const platform = fakePlatform();
    const plan = await TestEngine.plan(platform, fakeModel(1000), { contextSize: 128 });
    expect(plan).toMatchObject({
      device: 'cpu',
      deviceNote: 'no GPU in this test',
      contextLength: 128,
      fileBytes: 1000,
      memory: { weights: 1000, kvCache: 2048, parameters: 64 },
    });
    expect(platform.made[0]!.files[0]!.received).toEqual([]);
    expect(platform.made[0]!.calls.at(-1)).toBe('unload');
  });

  it('asks for the KV cache in the types given, keys and values each', async () => {
    const asked = async (kv: LoadOptions['kv']): Promise<string | undefined> => {
      const platform = fakePlatform();
      await TestEngine.plan(platform, fakeModel(8), { kv });
      return platform.made[0]!.calls.find((call) => call.startsWith('plan'));
    };
    expect(await asked(undefined)).toBe('plan 0 0 0 0 0');
    expect(await asked('f32')).toBe('plan 0 0 1 1 0');
    expect(await asked('q8_0')).toBe('plan 0 0 2 2 0');
    expect(await asked('q4_0')).toBe('plan 0 0 3 3 0');
    expect(await asked({ keys: 'q8_0', values: 'q4_0' })).toBe('plan 0 0 2 3 0');
    expect(await asked({ keys: 'f32', values: 'f16' })).toBe('plan 0 0 1 0 0');
    for (const wrong of ['q5_0', 7, null, { keys: 'f16' }, { keys: 'f16', values: 'f17' }]) {
      const message = expect.stringMatching(/^kv/);
      await expect(asked(wrong as never)).rejects.toMatchObject({ code: 'bad-argument', message });
    }
  });

  it('knows the kinds of refusals', async () => {
    const platform = fakePlatform();
    await expect(TestEngine.load(platform, fakeModel(8), { contextSize: 200_000 })).rejects.toMatchObject({
      code: 'out-of-memory',
    });
    await expect(TestEngine.load(platform, fakeModel(8), { device: 'webgpu' })).rejects.toMatchObject({
      code: 'no-webgpu',
      message: 'no GPU in this test',
    });
    await expect(TestEngine.load(platform, fakeModel(8), { contextSize: 0.5 })).rejects.toMatchObject({
      code: 'bad-argument',
      message: expect.stringContaining('contextSize'),
    });
    await expect(TestEngine.load(platform, [])).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(TestEngine.load(platform, 7 as never)).rejects.toMatchObject({ code: 'bad-argument' });
  });

  it('ends when aborted, before and in the middle', async () => {
    const platform = fakePlatform();
    const before = TestEngine.load(platform, fakeModel(8), { signal: AbortSignal.abort() });
    await expect(before).rejects.toMatchObject({ code: 'aborted' });
    const abort = new AbortController();
    const during = TestEngine.load(platform, new Blob([fakeModel(1 << 20)]), {
      signal: abort.signal,
      onProgress: ({ phase }) => phase === 'weights' && abort.abort(),
    });
    await expect(during).rejects.toMatchObject({ code: 'aborted' });
    expect(platform.made.at(-1)!.calls.at(-1)).toBe('unload');
    expect(platform.made.at(-1)!.files[0]!.received.length).toBeLessThan(1 << 20);
  });
});

describe('generating', () => {
  it('streams pieces and tells how it ended', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(8));
    const generation = engine.generate('abc');
    const pieces: Piece[] = [];
    for await (const piece of generation) pieces.push(piece);
    expect(pieces).toEqual([
      { text: 'c', token: 99 },
      { text: 'b', token: 98 },
      { text: 'a', token: 97 },
    ]);
    expect(await generation.result).toMatchObject({ finishReason: 'stop', promptTokens: 4, generatedTokens: 3 });
    const limited = engine.generate([97, 98], { maxTokens: 1, seed: 7 });
    expect(await collect(limited)).toBe('b');
    expect(await limited.result).toMatchObject({ finishReason: 'length', seed: 7, promptTokens: 2 });
  });

  it('queues calls in their order', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(8));
    const order: string[] = [];
    const run = async (prompt: string): Promise<void> => {
      for await (const { text } of engine.generate(prompt)) order.push(text);
    };
    await Promise.all([run('ab'), run('cd'), run('ef')]);
    expect(order.join('')).toBe('badcfe');
  });

  it('is cancelled by leaving the loop, and the next call runs', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(8));
    const long = engine.generate('x'.repeat(5000));
    for await (const _ of long) break;
    expect(await long.result).toMatchObject({ finishReason: 'cancelled' });
    expect((await long.result).generatedTokens).toBeLessThan(5000);
    expect(await collect(engine.generate('ok'))).toBe('ko');
  });

  it('throws aborted when its signal aborts, running or waiting', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(8));
    const abort = new AbortController();
    const running = engine.generate('x'.repeat(5000), { signal: abort.signal });
    const waiting = engine.generate('never', { signal: abort.signal });
    const iterate = async (): Promise<void> => {
      for await (const _ of running) abort.abort();
    };
    await expect(iterate()).rejects.toMatchObject({ code: 'aborted' });
    await expect(running.result).rejects.toMatchObject({ code: 'aborted' });
    await expect(collect(waiting)).rejects.toMatchObject({ code: 'aborted' });
    expect(await collect(engine.generate('ok'))).toBe('ko');
  });

  it('cancel() ends it quietly', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(8));
    const generation = engine.generate('x'.repeat(5000));
    let text = '';
    for await (const piece of generation) {
      text += piece.text;
      generation.cancel();
    }
    expect(text.length).toBeLessThan(5000);
    expect((await generation.result).finishReason).toBe('cancelled');
  });

  it('names the argument that is wrong', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(8));
    for (const [options, name] of [
      [{ temperature: -1 }, 'temperature'],
      [{ temperature: Number.NaN }, 'temperature'],
      [{ topK: 1.5 }, 'topK'],
      [{ topP: 2 }, 'topP'],
      [{ minP: -0.1 }, 'minP'],
      [{ maxTokens: 0 }, 'maxTokens'],
      [{ seed: 2 ** 60 }, 'seed'],
    ] as const) {
      const { result } = engine.generate('a', options);
      await expect(result).rejects.toMatchObject({ code: 'bad-argument', message: expect.stringContaining(name) });
    }
    await expect(engine.generate([]).result).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(engine.generate([-1]).result).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(engine.detokenize([300])).rejects.toMatchObject({ code: 'bad-argument' });
  });

  it('passes tokenizer flags, text and stats', async () => {
    const platform = fakePlatform((module) => (module.chatTemplate = '{{ messages }}'));
    const engine = await TestEngine.load(platform, fakeModel(8));
    expect(engine.chatTemplate).toBe('{{ messages }}');
    expect(engine.specialTokens).toEqual({ bos: '<s>', eos: '</s>' });
    expect(await engine.tokenize('é')).toEqual([256, 0xc3, 0xa9]);
    expect(await engine.tokenize('é', { bos: 'off' })).toEqual([0xc3, 0xa9]);
    expect(await engine.detokenize([0xc3, 0xa9])).toBe('é');
    expect(await engine.stats()).toMatchObject({
      counters: { readbackBytesPerToken: 0 },
      allocated: { parameters: 64 },
    });
  });
});

describe('failing', () => {
  it('reports a trap to the pending call and the queued ones', async () => {
    const engine = await TestEngine.load(
      fakePlatform((module) => (module.trapAfterTokens = 2)),
      fakeModel(8),
    );
    const first = collect(engine.generate('abcdef'));
    const second = collect(engine.generate('later'));
    await expect(first).rejects.toMatchObject({
      code: 'worker-crashed',
      message: expect.stringContaining('unreachable'),
    });
    await expect(second).rejects.toMatchObject({ code: 'worker-crashed' });
  });

  it('keeps the error of a failed engine', async () => {
    const engine = await TestEngine.load(
      fakePlatform((module) => (module.failAfterTokens = 1)),
      fakeModel(8),
    );
    for (let i = 0; i < 2; i++) {
      await expect(collect(engine.generate('abc'))).rejects.toMatchObject({ code: 'device-lost' });
    }
  });

  it('answers unloaded after unload(), and ends what runs', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(8));
    const running = collect(engine.generate('x'.repeat(100_000)));
    const outcome = expect(running).rejects.toMatchObject({ code: 'unloaded' });
    await engine.unload();
    await outcome;
    await expect(engine.tokenize('a')).rejects.toMatchObject({ code: 'unloaded' });
    await engine.unload();
  });
});

describe('embed()', () => {
  const loaded = () => TestEngine.load(fakePlatform(), fakeModel(64), { embeddings: true });

  it('gives a vector for each text or list of tokens, in order', async () => {
    const engine = await loaded();
    const vectors = await engine.embed(['hi', Uint32Array.of(7, 8)], { pooling: 'last', normalize: true });
    expect(vectors).toEqual([Float32Array.of(256, 104, 105, 3, 1), Float32Array.of(7, 8, 3, 1)]);
    expect(await engine.embed(['a'])).toEqual([Float32Array.of(256, 97, 0, 0)]);
    expect(await engine.embed([])).toEqual([]);
  });

  it('says what it cannot use, and of several texts which', async () => {
    const engine = await loaded();
    const fails = (texts: unknown, options?: object) =>
      engine.embed(texts as string[], options).then(
        () => 'embedded',
        (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
      );
    expect(await fails('a text')).toBe('bad-argument: the texts are a text, not an array');
    expect(await fails(['a', null])).toBe('bad-argument: text 1 is null, not an array of tokens');
    expect(await fails([[]])).toBe('bad-argument: the text has no tokens');
    expect(await fails(['a', []])).toBe('bad-argument: text 1: the text has no tokens');
    expect(await fails(['a', 'long'.repeat(300)])).toBe('bad-argument: text 1: too long');
    expect(await fails(['a'], { pooling: 'max' })).toMatch(/^bad-argument: pooling is 'max', not one of auto, mean/);
    expect(await fails(['a'], { normalize: 1 })).toMatch(/^bad-argument: normalize is 1/);
    expect(await fails(['a'], { normalise: true })).toMatch(/^bad-argument: there is no option 'normalise'/);
  });

  it('wants a model that was loaded for it', async () => {
    const engine = await TestEngine.load(fakePlatform(), fakeModel(64));
    const message = expect.stringContaining("the option 'embeddings'");
    await expect(engine.embed(['a'])).rejects.toMatchObject({ code: 'bad-argument', message });
    const wrong = TestEngine.load(fakePlatform(), fakeModel(64), { embeddings: 'yes' as never });
    await expect(wrong).rejects.toMatchObject({ code: 'bad-argument', message: expect.stringContaining('embeddings') });
  });

  it('ends when aborted, and the next one begins anew', async () => {
    const abort = new AbortController();
    const platform = fakePlatform((module) => {
      module.onStep = () => abort.abort();
    });
    const engine = await TestEngine.load(platform, fakeModel(64), { embeddings: true });
    const made = engine.embed(['a text of some length'], { signal: abort.signal });
    await expect(made).rejects.toMatchObject({ code: 'aborted' });
    expect(await engine.embed(['a'])).toEqual([Float32Array.of(256, 97, 0, 0)]);
  });
});
