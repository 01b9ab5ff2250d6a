// The built package in Node with the real module: on the CPU, and on WebGPU by Dawn (SwiftShader where there is no GPU).
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { withoutModel } from '../../scripts/without-model.mjs';
import type {
  GenerateOptions,
  KvType,
  LoadOptions,
  ModelSource,
  Piece,
  Pronk as PronkType,
} from '../../src/api/node.js';
import { chatPrompt } from '../../src/api/openai/prompt.js';
import { serveBytes } from '../support/file-server.js';
import { boxGolden, cosine, encoderPath, goldenEmbeddings } from '../support/golden.js';
import { storiesPath, storyReferences } from '../support/references.js';
import { chatMl, tinyModel } from '../support/tiny-gguf.js';

// The package's own name is not used: it would need an install of itself.
const built = '../../dist/api/node.js';
const { Pronk, PronkError } = (await import(built).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');

const folder = mkdtempSync(join(tmpdir(), 'pronk-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const open: PronkType[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.unload()));
});

async function load(source: ModelSource, options: LoadOptions): Promise<PronkType> {
  const engine = await Pronk.load(source, options);
  open.push(engine);
  return engine;
}

let noGpu = '';
beforeAll(async () => {
  const reason = await Pronk.plan(tinyModel()[0]!, { device: 'webgpu' }).then(
    () => '',
    (error: Error) => error.message,
  );
  noGpu = reason;
  if (noGpu) console.log(`skipped: the tests on WebGPU: ${noGpu}`);
});

async function greedy(
  engine: PronkType,
  tokens: number[],
  maxTokens = 64,
): Promise<{ tokens: number[]; text: string }> {
  const given: number[] = [];
  let text = '';
  for await (const piece of engine.generate(tokens, { temperature: 0, maxTokens, ignoreEos: true })) {
    if (piece.token !== null) given.push(piece.token);
    text += piece.text;
  }
  return { tokens: given, text };
}

async function expectStories(device: 'cpu' | 'webgpu', skip: () => void): Promise<void> {
  const references = storyReferences();
  if (!references) return skip();
  const plan = await Pronk.plan(storiesPath, { device });
  const engine = await load(storiesPath, { device });
  expect(engine.device).toBe(device);
  // A CPU that plays a GPU is slow: there one story has to do.
  for (const { text, tokens, greedy: expected } of device === 'cpu' ? references : references.slice(0, 1)) {
    expect(await engine.tokenize(text)).toEqual(tokens);
    const made = await greedy(engine, tokens);
    expect(made.tokens).toEqual(expected.tokens);
    // The reference's text has the prompt in front.
    expect((await engine.detokenize([...tokens, ...made.tokens])).replace('<s>', '')).toBe(expected.text.trimStart());
    expect(expected.text.endsWith(made.text)).toBe(true);
  }
  expect(engine.plan.memory).toEqual(plan.memory);
}

describe('stories260K', () => {
  it('continues as the reference on the CPU', (context) => expectStories('cpu', () => context.skip()));

  it('continues as the reference on WebGPU', (context) => {
    if (noGpu) return context.skip();
    return expectStories('webgpu', () => context.skip());
  });
});

async function expectBox(device: 'cpu' | 'webgpu', skip: () => void): Promise<void> {
  const cases = boxGolden();
  if (!cases) return skip();
  const plan = await Pronk.plan('builtin', { device });
  const engine = await load('builtin', { device });
  expect(engine.plan).toEqual(plan);
  expect(plan).toMatchObject({ device, architecture: 'llama', name: 'Pronk Box', chat: true });
  for (const { messages, tools, begun, prompt, prompt_tokens, most, tokens, text } of cases) {
    expect(await engine.tokenize(prompt, { special: true })).toEqual(prompt_tokens);
    const chat = { messages, tools: tools as never, values: {}, template: undefined };
    const asked = (await chatPrompt(engine, chat)).tokens; // as the chat API asks it
    expect(asked).toEqual(begun === '' ? prompt_tokens : prompt_tokens.slice(0, asked.length));
    const made: number[] = [];
    let said = '';
    for await (const piece of engine.generate(prompt_tokens, { temperature: 0, maxTokens: most })) {
      if (piece.token !== null) made.push(piece.token);
      said += piece.text;
    }
    expect(made).toEqual(tokens);
    expect(said).toBe(text);
  }
}

describe('the model in the box', () => {
  it('answers as it should on the CPU', (context) => expectBox('cpu', () => context.skip()));

  it('answers as it should on WebGPU', (context) => {
    if (noGpu) return context.skip();
    return expectBox('webgpu', () => context.skip());
  }, 300_000);

  it('is an error of its own where a build has none', async () => {
    const dist = join(folder, 'dist');
    cpSync(fileURLToPath(new URL('../../dist', import.meta.url)), dist, { recursive: true });
    if (boxGolden()) withoutModel(dist);
    const other = (await import(pathToFileURL(join(dist, 'api/node.js')).href)) as { Pronk: typeof Pronk };
    for (const made of [other.Pronk.plan('builtin'), other.Pronk.load('builtin')]) {
      const message = expect.stringContaining('no model in the box');
      await expect(made).rejects.toMatchObject({ code: 'no-builtin-model', message });
    }
  });
});

describe('a model made here', () => {
  const prompt = 'the cat, the hat.';

  it('gives the same tokens on CPU and WebGPU, and creates nothing after load', async (context) => {
    if (noGpu) return context.skip();
    const file = tinyModel()[0]!;
    const cpu = await load(file, { device: 'cpu' });
    const gpu = await load(file, { device: 'webgpu' });
    const tokens = await cpu.tokenize(prompt);
    expect(await gpu.tokenize(prompt)).toEqual(tokens);
    expect(new Set((await greedy(cpu, tokens, 48)).tokens).size).toBeGreaterThan(4); // not one token over and over
    expect((await greedy(gpu, tokens, 48)).tokens).toEqual((await greedy(cpu, tokens, 48)).tokens);

    const seeded = {
      temperature: 1,
      topK: 20,
      topP: 0.9,
      minP: 0.02,
      seed: 2 ** 40 + 5,
      maxTokens: 24,
      ignoreEos: true,
    };
    const sampled: (number | null)[][] = [];
    for (const engine of [cpu, gpu, gpu]) {
      const ids: (number | null)[] = [];
      for await (const { token } of engine.generate(tokens, seeded)) ids.push(token);
      sampled.push(ids);
    }
    expect(sampled[1]).toEqual(sampled[0]);
    expect(sampled[2]).toEqual(sampled[0]);

    const stats = await gpu.stats();
    expect(stats.counters).toMatchObject({
      buffersCreatedAfterLoad: 0,
      bindGroupsCreatedAfterLoad: 0,
      pipelinesCreatedAfterLoad: 0,
      readbackBytesPerToken: 4,
      submitsPerToken: 1,
    });
    expect(stats.counters.dispatchesPerToken).toBeGreaterThan(0);
    expect(stats.counters.dispatchesPerToken).toBeLessThanOrEqual(8 * 2 + 6);
    expect(stats.allocated).toEqual(gpu.plan.memory);
    expect(stats.pipelines).toBeGreaterThan(8);
    expect(stats.pipelines).toBeLessThanOrEqual(20); // a model whose matrices have one format
    expect(stats.compileMs).toBeGreaterThan(0);
    expect(await cpu.stats()).toMatchObject({ allocated: cpu.plan.memory, pipelines: 0, compileMs: 0 });
  });

  it('keeps its cache in the type that is asked for, keys and values each', async (context) => {
    const file = tinyModel()[0]!;
    for (const device of noGpu ? (['cpu'] as const) : (['cpu', 'webgpu'] as const)) {
      const sizes: number[] = [];
      for (const kv of ['f32', 'f16', 'q8_0', { keys: 'q8_0', values: 'q4_0' }] as const) {
        const plan = await Pronk.plan(file, { device, kv });
        sizes.push(plan.memory.kvCache);
        if (kv === 'f32' || kv === 'f16') continue; // used by the other tests
        if (device === 'webgpu' && typeof kv === 'string') continue; // the last has kernels of both
        const engine = await load(file, { device, kv });
        expect(engine.plan.memory).toEqual(plan.memory);
        expect((await engine.stats()).allocated).toEqual(plan.memory);
        const made = await greedy(engine, await engine.tokenize(prompt), 8);
        expect(made.tokens.length).toBe(8);
        await engine.unload();
      }
      expect(sizes[1]).toBeLessThan(sizes[0]!);
      expect(sizes[2]).toBeLessThan(sizes[1]! * 0.65); // 16 values a head: 16 bytes and 4 for their scale, for 32
      expect(sizes[3]).toBe(sizes[2]); // so short heads keep 8 bits
      const inBox = async (kv: KvType): Promise<number> => (await Pronk.plan('builtin', { device, kv })).memory.kvCache;
      expect(await inBox('q4_0')).toBeLessThan((await inBox('q8_0')) * 0.6);
    }
    if (noGpu) context.annotate('on the CPU');
  });

  it('is the same from a path, a Blob, bytes, shards and HTTP with and without ranges', async () => {
    const file = tinyModel()[0]!;
    const path = join(folder, 'tiny.gguf');
    writeFileSync(path, file);
    const shards = tinyModel({ shards: 3 });
    shards.forEach((shard, i) => writeFileSync(join(folder, `tiny-0000${i + 1}-of-00003.gguf`), shard));
    const ranged = await serveBytes(file);
    const plain = await serveBytes(file, { ranges: false });
    const sources: ModelSource[] = [
      path,
      new Blob([file]),
      file.buffer,
      shards,
      [2, 0, 1].map((i) => new File([shards[i]!], `tiny-0000${i + 1}-of-00003.gguf`)),
      join(folder, 'tiny-00002-of-00003.gguf'),
      ranged.url,
      new URL(plain.url),
    ];
    try {
      const texts: string[] = [];
      for (const source of sources) {
        const engine = await load(source, { device: 'cpu' });
        texts.push((await greedy(engine, await engine.tokenize(prompt), 16)).text);
      }
      expect(new Set(texts).size).toBe(1);
      expect(texts[0]).not.toBe('');
    } finally {
      await Promise.all([ranged.close(), plain.close()]);
    }
  });

  it('is cancelled by leaving the loop, and goes on with what the cache holds', async (context) => {
    const engine = await load(tinyModel()[0]!, { device: noGpu ? 'cpu' : 'webgpu' });
    if (noGpu) context.annotate('on the CPU');
    const tokens = await engine.tokenize(prompt);
    const expected = await greedy(engine, tokens, 12);
    const left = engine.generate(tokens, { temperature: 0, ignoreEos: true });
    for await (const _ of left) break;
    expect((await left.result).finishReason).toBe('cancelled');
    const again = engine.generate(tokens, { temperature: 0, maxTokens: 12, ignoreEos: true });
    const ids: (number | null)[] = [];
    for await (const { token } of again) if (token !== null) ids.push(token);
    expect(ids).toEqual(expected.tokens);
    expect((await again.result).reusedTokens).toBeGreaterThan(0);
  });

  it.for(['cpu', 'webgpu'] as const)('takes penalties, biases and log probabilities on %s', async (device, context) => {
    if (device === 'webgpu' && noGpu) return context.skip();
    const engine = await load(tinyModel()[0]!, { device });
    const tokens = await engine.tokenize('a, a');
    const all = { temperature: 0, maxTokens: 12, ignoreEos: true };
    const run = async (options: GenerateOptions) => {
      const pieces: Piece[] = [];
      for await (const piece of engine.generate(tokens, { ...all, ...options }))
        if (piece.token !== null) pieces.push(piece);
      return pieces;
    };
    const ids = async (options: GenerateOptions) => (await run(options)).map(({ token }) => token);
    const plain = await run({ topLogprobs: 3 });
    const first = plain[0]!.token!;
    expect(plain[0]!.logprobs!.top).toHaveLength(3);
    expect(plain[0]!.logprobs!.top[0]).toEqual({ token: first, logprob: plain[0]!.logprobs!.logprob });
    expect((await run({}))[0]).not.toHaveProperty('logprobs');
    expect(await ids({ logitBias: { 9: 100 } })).toEqual(new Array(12).fill(9));
    expect(await ids({ logitBias: { [first]: -100 } })).not.toContain(first);
    const penalties = { repetitionPenalty: 1.2, frequencyPenalty: 2, presencePenalty: 1, logitBias: { 9: 8, 10: 7 } };
    const penalized = await ids(penalties);
    expect(penalized.filter((token) => token === 9).length).toBeLessThan(12);
    expect(await ids({ ...penalties, topLogprobs: 0 })).toEqual(penalized);
  });

  it.each([
    [{ repetitionPenalty: 0 }, 'repetitionPenalty is 0, not a number from 0.01 to 100'],
    [{ frequencyPenalty: 3 }, 'frequencyPenalty is 3, not a number from -2 to 2'],
    [{ presencePenalty: Number.NaN }, 'presencePenalty is NaN, not a number from -2 to 2'],
    [{ logitBias: { 5: 101 } }, 'logitBias[5] is 101, not a number from -100 to 100'],
    [{ logitBias: { 999999: 1 } }, "logitBias names token '999999', not an id"],
    [{ topLogprobs: 21 }, 'topLogprobs is 21, not a whole number from 0 to 20'],
  ])('refuses %j', async (options, message) => {
    const engine = await load(tinyModel()[0]!, { device: 'cpu' });
    const { result } = engine.generate('a', options);
    await expect(result).rejects.toMatchObject({ code: 'bad-argument', message: expect.stringContaining(message) });
  });

  it('ends when the context is full', async () => {
    const engine = await load(tinyModel()[0]!, { device: 'cpu', contextSize: 32 });
    expect(engine.plan.contextLength).toBe(32);
    const generation = engine.generate(await engine.tokenize('a'), { temperature: 0, ignoreEos: true });
    let count = 0;
    for await (const { token } of generation) count += token === null ? 0 : 1;
    expect(count).toBeLessThanOrEqual(32);
    expect(['context-full', 'length']).toContain((await generation.result).finishReason);
    const long = engine.generate('a, '.repeat(40));
    await expect(long.result).rejects.toMatchObject({ code: 'bad-argument', message: expect.stringContaining('32') });
  });

  it('gives its chat template and parses special tokens only when asked', async () => {
    const engine = await load(tinyModel({ chatTemplate: chatMl })[0]!, { device: 'cpu' });
    expect(engine.chatTemplate).toBe(chatMl);
    expect(engine.specialTokens).toEqual({ bos: '<s>', eos: '</s>' });
    expect((await engine.tokenize('<|im_end|>', { special: true, bos: 'off' })).filter((id) => id === 4)).toEqual([4]);
    expect(await engine.tokenize('<|im_end|>')).not.toContain(4);
    expect(engine.plan.chat).toBe(true);
    const plain = await load(tinyModel()[0]!, { device: 'cpu' });
    expect(plain.chatTemplate).toBeNull();
    expect(plain.plan.chat).toBe(false);
  });
});

describe('embed()', () => {
  async function expectVectors(device: 'cpu' | 'webgpu'): Promise<void> {
    const engine = await load(encoderPath, { device });
    expect((await engine.stats()).allocated).toEqual(engine.plan.memory);
    const cases = goldenEmbeddings('encoder');
    const texts = cases.map(({ text }) => text);
    for (const pooling of ['mean', 'cls', 'last', 'none'] as const) {
      const vectors = await engine.embed(texts, { pooling });
      expect(vectors.map(({ length }) => length)).toEqual(cases.map((wanted) => wanted[pooling]!.length));
      cases.forEach((wanted, i) => expect(cosine(vectors[i]!, wanted[pooling]!)).toBeGreaterThan(0.9999));
    }
    const [automatic, normalized] = [await engine.embed(texts), await engine.embed(texts, { normalize: true })];
    for (const [i, { mean, normalized: wanted }] of cases.entries()) {
      automatic[i]!.forEach((value, at) => expect(value).toBeCloseTo(mean![at]!, 3));
      normalized[i]!.forEach((value, at) => expect(value).toBeCloseTo(wanted[at]!, 3));
    }
    await expect(engine.generate('a').result).rejects.toMatchObject({ code: 'unsupported' });
    const long = { code: 'bad-argument', message: expect.stringMatching(/^text 1: .*100 tokens.*40/) };
    await expect(engine.embed(['a', new Array<number>(100).fill(5)])).rejects.toMatchObject(long);
    expect((await engine.embed([cases[0]!.text]))[0]).toEqual(automatic[0]);
  }

  it('gives the vectors of an encoder on the CPU', () => expectVectors('cpu'));

  it('gives the vectors of an encoder on WebGPU', (context) => {
    if (noGpu) return context.skip();
    return expectVectors('webgpu');
  });

  it('gives those of a text model that was loaded for it', async (context) => {
    if (!boxGolden()) return context.skip();
    const { text, tokens, normalized, last } = goldenEmbeddings('box')[0]!;
    for (const device of noGpu ? (['cpu'] as const) : (['cpu', 'webgpu'] as const)) {
      const engine = await load('builtin', { device, embeddings: true, contextSize: 64 });
      expect(cosine((await engine.embed([text], { normalize: true }))[0]!, normalized)).toBeGreaterThan(0.999);
      expect(cosine((await engine.embed([tokens], { pooling: 'last' }))[0]!, last)).toBeGreaterThan(0.999);
      const message = expect.stringContaining('for embeddings');
      await expect(engine.generate('a').result).rejects.toMatchObject({ code: 'bad-argument', message });
      await engine.unload();
    }
    const talker = await load('builtin', { device: 'cpu', contextSize: 64 });
    const message = expect.stringContaining("the option 'embeddings'");
    await expect(talker.embed([text])).rejects.toMatchObject({ code: 'bad-argument', message });
  }, 300_000);

  it('takes turns with itself and stops when aborted', async () => {
    const engine = await load(encoderPath, { device: 'cpu' });
    const { text } = goldenEmbeddings('encoder')[0]!;
    const abort = new AbortController();
    const [first, stopped] = [engine.embed([text]), engine.embed([text], { signal: abort.signal })];
    abort.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    expect(await engine.embed([text])).toEqual(await first);
  });
});

describe('bad input', () => {
  const fails = (source: ModelSource, options: LoadOptions = {}) =>
    Pronk.load(source, { device: 'cpu', ...options }).then(
      () => 'loaded',
      (error: InstanceType<typeof PronkError>) => `${error.code}: ${error.message}`,
    );

  it('gets an error of its kind in one line', async () => {
    const good = tinyModel()[0]!;
    expect(await fails(new Uint8Array(64))).toMatch(/^bad-model: magic/);
    expect(await fails(new Uint8Array(0))).toMatch(/^bad-model: /);
    expect(await fails(good.slice(0, 400))).toMatch(/^bad-model: .+/);
    expect(await fails(good.slice(0, good.length - 100))).toMatch(/^bad-model: .+/);
    expect(await fails(join(folder, 'missing.gguf'))).toMatch(/^network: missing\.gguf .*ENOENT/);
    expect(await fails(tinyModel({ shards: 3 })[0]!)).toMatch(/^bad-argument: .*3 files/);
    expect(await fails('http://127.0.0.1:1/x.gguf')).toMatch(/^network: /);
    expect(await fails(good, { contextSize: 2 ** 31 - 1 })).toMatch(/^(out-of-memory|unsupported|bad-argument): .+/);
    const other = new TextDecoder('latin1').decode(good).replace('llama', 'lxama');
    expect(await fails(Uint8Array.from(other, (c) => c.charCodeAt(0)))).toMatch(/^(unsupported|bad-model): .+/);
  });
});
