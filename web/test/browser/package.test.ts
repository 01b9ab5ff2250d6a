// The built package in a page that Vite built with no configuration, in real Chromium.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Api from '../../src/api/index.js';
import type { ChatRequest, CompletionRequest } from '../../src/api/openai/types.js';
import { launchChromium, type PageServer, servePage } from '../support/chromium.js';
import { serveFolder } from '../support/folder-server.js';
import { boxGolden, cosine, encoderPath, goldenEmbeddings } from '../support/golden.js';
import { storiesPath, storyReferences } from '../support/references.js';
import { everyField, forcedRequest, moodRequest, storyRequest, weatherRequest } from '../support/requests.js';
import { tinyFolder } from '../support/tiny-folder.js';
import { tinyModel } from '../support/tiny-gguf.js';

declare const Pronk: typeof Api.Pronk; // in the page
declare const engine: Api.Pronk; // there too, where a test has made it

const folder = mkdtempSync(join(tmpdir(), 'pronk-page-'));
const tinyPath = join(folder, 'tiny.gguf');
const root = join(folder, 'dist');
let browser: Browser | null = null;
let tiny: PageServer;
let stories: PageServer | null = null;

beforeAll(async () => {
  if (!existsSync(fileURLToPath(new URL('../../dist/pronk.wasm', import.meta.url)))) {
    throw new Error('web/dist is missing: run npm run build first');
  }
  browser = await launchChromium();
  if (!browser) return;
  writeFileSync(tinyPath, tinyModel()[0]!);
  const source = fileURLToPath(new URL('page', import.meta.url));
  await build({ configFile: false, logLevel: 'error', root: source, build: { outDir: root, emptyOutDir: true } });
  tiny = await servePage(root, tinyPath);
  if (existsSync(storiesPath)) stories = await servePage(root, storiesPath);
});

afterAll(async () => {
  tiny?.close();
  stories?.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function withPage(origin: string, use: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser!.newContext();
  try {
    const page = await context.newPage();
    await page.goto(origin);
    await page.waitForFunction(() => 'Pronk' in window);
    await use(page);
  } finally {
    await context.close();
  }
}

const create = (page: Page, request: ChatRequest) =>
  page.evaluate((given) => engine.chat.completions.create({ ...given, stream: false }), request);

const chunksOf = (page: Page, request: ChatRequest) =>
  page.evaluate(async (given) => {
    const all = [];
    for await (const chunk of await engine.chat.completions.create({ ...given, stream: true })) all.push(chunk);
    return all;
  }, request);

describe('the package in Chromium', () => {
  it('takes the requests that the server takes, whole and streamed', async (context) => {
    if (!browser || !boxGolden()) return context.skip();
    await withPage(tiny.origin, async (page) => {
      await page.evaluate(async () => {
        Object.assign(window, { engine: await Pronk.load('builtin', { device: 'cpu', threads: 1 }) });
      });
      const { choices, usage } = await create(page, everyField);
      expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens);
      const said = choices.map(({ message }) => message.content);
      expect(new Set(said).size).toBe(2);
      const streamed = ['', ''];
      for (const { choices: parts } of await chunksOf(page, everyField)) {
        for (const { index, delta } of parts) streamed[index] += delta.content ?? '';
      }
      expect(streamed).toEqual(said); // the same seed, the same text
      for (const { logprobs, message } of choices) {
        expect(logprobs!.content!.map(({ token }) => token).join('')).toBe(message.content);
        expect(logprobs!.content!.every(({ top_logprobs: top }) => top.length === 2)).toBe(true);
      }
      const wrong = { ...everyField, temperature: 7 };
      await expect(create(page, wrong)).rejects.toThrow('temperature');

      const mood = JSON.parse((await create(page, moodRequest)).choices[0]!.message.content!) as { mood: string };
      expect(['good', 'bad']).toContain(mood.mood);
      expect((await create(page, forcedRequest)).choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: { tool_calls: [{ function: { name: 'set_mood' } }] },
      });
      const weather = { name: 'get_weather', arguments: '{"city": "Paris"}' };
      const called = (await create(page, weatherRequest)).choices[0]!.message.tool_calls;
      expect(called).toMatchObject([{ function: weather }]);
      const deltas = (await chunksOf(page, weatherRequest)).flatMap(
        ({ choices: [one] }) => one?.delta.tool_calls ?? [],
      );
      expect(deltas.map((delta) => delta.function?.arguments ?? '').join('')).toBe(weather.arguments);
      const goOn = (given: CompletionRequest) => engine.completions.create({ ...given, stream: false });
      expect((await page.evaluate(goOn, storyRequest)).choices[0]!.text).toMatch(/\w/);
    });
  });

  it('continues stories260K on WebGPU as the reference', async (context) => {
    const references = storyReferences();
    if (!browser || !stories || !references) return context.skip();
    const { tokens, greedy } = references[0]!;
    await withPage(stories.origin, async (page) => {
      const made = await page.evaluate(async (prompt) => {
        const engine = await Pronk.load('models/stories260K.gguf', { device: 'webgpu' });
        const ids: (number | null)[] = [];
        for await (const { token } of engine.generate(prompt, { temperature: 0, maxTokens: 64, ignoreEos: true }))
          ids.push(token);
        const stats = await engine.stats();
        const { plan, device } = engine;
        await engine.unload();
        return { ids: ids.filter((id) => id !== null), stats, plan, device, isolated: crossOriginIsolated };
      }, tokens);
      expect(made.ids).toEqual(greedy.tokens);
      expect(made.device).toBe('webgpu');
      expect(made.isolated).toBe(true);
      expect(made.stats.allocated).toEqual(made.plan.memory);
      expect(made.stats.counters).toMatchObject({
        buffersCreatedAfterLoad: 0,
        bindGroupsCreatedAfterLoad: 0,
        pipelinesCreatedAfterLoad: 0,
        readbackBytesPerToken: 4,
      });
      expect(made.stats.counters.dispatchesPerToken).toBeLessThanOrEqual(8 * 5 + 6);
    });
  });

  it('says of a folder what it says of the same model as a GGUF file, also without the network', async (context) => {
    if (!browser) return context.skip();
    const server = await serveFolder(tinyFolder(2));
    await withPage(tiny.origin, async (page) => {
      const answer = (source: string, device: 'cpu' | 'webgpu'): Promise<string> =>
        page.evaluate(
          async ([from, on]) => {
            const engine = await Pronk.load(from, { device: on, threads: 1 });
            const ids = await engine.tokenize('the cat, a hat.');
            const tokens: (number | null)[] = [];
            for await (const { token } of engine.generate(ids, { temperature: 0, maxTokens: 24, ignoreEos: true }))
              tokens.push(token);
            await engine.unload();
            return JSON.stringify({ ids, tokens });
          },
          [source, device] as const,
        );
      const expected = await answer('models/tiny.gguf', 'cpu');
      expect(await answer(server.url, 'cpu')).toBe(expected);
      await server.close();
      expect(await answer(server.url, 'webgpu')).toBe(expected);
      const kept = await page.evaluate(async () => (await Pronk.cache.list()).map(({ name }) => name).sort());
      expect(kept).toEqual(['tiny.gguf', ...server.files.keys()].sort());
    });
  });

  it('brings the model in the box, which answers on WebGPU as it should', async (context) => {
    const cases = boxGolden();
    if (!browser || !cases) return context.skip();
    await withPage(tiny.origin, async (page) => {
      const made = await page.evaluate(async (given) => {
        const engine = await Pronk.load('builtin', { device: 'webgpu' });
        const answers = [];
        for (const { prompt, most } of given) {
          const asked = await engine.tokenize(prompt, { special: true });
          const tokens: number[] = [];
          let text = '';
          for await (const piece of engine.generate(asked, { temperature: 0, maxTokens: most })) {
            if (piece.token !== null) tokens.push(piece.token);
            text += piece.text;
          }
          answers.push({ prompt_tokens: asked, tokens, text });
        }
        await engine.unload();
        return answers;
      }, cases);
      expect(made).toEqual(cases.map(({ prompt_tokens, tokens, text }) => ({ prompt_tokens, tokens, text })));
    });
  }, 300_000);

  it('gives the vectors of an encoder from its worker', async (context) => {
    if (!browser) return context.skip();
    const cases = goldenEmbeddings('encoder');
    await withPage(tiny.origin, async (page) => {
      await page.locator('#file').setInputFiles(encoderPath);
      const made = await page.evaluate(
        async (texts) => {
          const file = (document.getElementById('file') as HTMLInputElement).files![0]!;
          const all: number[][][] = [];
          for (const device of ['cpu', 'webgpu'] as const) {
            const engine = await Pronk.load(file, { device });
            const vectors = await engine.embed(texts, { normalize: true });
            if (!vectors.every((vector) => vector instanceof Float32Array)) throw new Error('not Float32Array');
            all.push(vectors.map((vector) => Array.from(vector)));
            await engine.unload();
          }
          return all;
        },
        cases.map(({ text }) => text),
      );
      for (const vectors of made) {
        expect(vectors.length).toBe(cases.length);
        cases.forEach(({ normalized }, i) => expect(cosine(vectors[i]!, normalized)).toBeGreaterThan(0.9999));
      }
    });
  });

  it('gives the same tokens on CPU and WebGPU, from a URL and a File', async (context) => {
    if (!browser) return context.skip();
    await withPage(tiny.origin, async (page) => {
      await page.locator('#file').setInputFiles(tinyPath);
      const [cpu, gpu] = await page.evaluate(async () => {
        const file = (document.getElementById('file') as HTMLInputElement).files![0]!;
        const run = async (source: string | File, device: 'cpu' | 'webgpu'): Promise<(number | null)[]> => {
          const engine = await Pronk.load(source, { device });
          const ids: (number | null)[] = [];
          for await (const { token } of engine.generate('the cat', { temperature: 0, maxTokens: 24, ignoreEos: true }))
            ids.push(token);
          await engine.unload();
          return ids;
        };
        return [await run(file, 'cpu'), await run('models/tiny.gguf', 'webgpu')];
      });
      expect(cpu.length).toBeGreaterThanOrEqual(24);
      expect(gpu).toEqual(cpu);
    });
  });

  it('stops, queues and ends as the API says, in a real worker', async (context) => {
    if (!browser) return context.skip();
    await withPage(tiny.origin, async (page) => {
      const seen = await page.evaluate(async () => {
        const code = (error: unknown): string => (error as { code: string }).code;
        const bytes = await (await fetch('models/tiny.gguf')).arrayBuffer();
        const engine = await Pronk.load(bytes, { device: 'cpu' });
        const options = { temperature: 0, maxTokens: 8, ignoreEos: true };
        const first = engine.generate('a', options);
        const second = engine.generate('a', options);
        const results = await Promise.all([first.result, second.result]);
        const left = engine.generate('a', { ignoreEos: true });
        for await (const _ of left) break;
        const leftReason = (await left.result).finishReason;
        const abort = new AbortController();
        const aborted = engine.generate('a', { ignoreEos: true, signal: abort.signal });
        let abortCode = '';
        try {
          for await (const _ of aborted) abort.abort();
        } catch (error) {
          abortCode = code(error);
        }
        const bad = await engine.generate('a', { topP: 3 }).result.catch(code);
        await engine.unload();
        const unloaded = await engine.tokenize('a').catch(code);
        return {
          reasons: results.map((r) => r.finishReason),
          leftReason,
          abortCode,
          bad,
          unloaded,
          detached: bytes.byteLength === 0,
        };
      });
      expect(seen).toEqual({
        reasons: ['length', 'length'],
        leftReason: 'cancelled',
        abortCode: 'aborted',
        bad: 'bad-argument',
        unloaded: 'unloaded',
        detached: false,
      });
    });
  });

  it('says so when the worker or the module cannot be had', async (context) => {
    if (!browser) return context.skip();
    await withPage(tiny.origin, async (page) => {
      const code = (): Promise<string> =>
        page.evaluate(() =>
          Pronk.load('models/tiny.gguf', { device: 'cpu' }).then(
            () => 'loaded',
            (error) => error.code,
          ),
        );
      await page.route('**/*.wasm', (route) => route.abort());
      expect(await code()).toBe('network');
      await page.unroute('**/*.wasm');
      expect(await code()).toBe('loaded');
      await page.route('**/worker*.js', (route) => route.abort());
      expect(await code()).toBe('worker-crashed');
    });
  });
});
