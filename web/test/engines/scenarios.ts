// What a person does, the same in every browser engine: the built package in a page, and the chat page.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type * as Api from '../../src/api/index.js';
import { type PageServer, servePage } from '../support/chromium.js';
import { type Faults, type FileServer, serveBytes } from '../support/file-server.js';
import { boxGolden, type Golden } from '../support/golden.js';
import { sparseTinyModel } from '../support/tiny-gguf.js';
import { type BrowserEngine, inPage, type Tab, until } from './driver.js';

declare const Pronk: typeof Api.Pronk; // in the page

type Device = 'cpu' | 'webgpu';

const distFolder = fileURLToPath(new URL('../../dist', import.meta.url));
const pageSource = fileURLToPath(new URL('../browser/page', import.meta.url));
const chatFolder = fileURLToPath(new URL('../../../demo/dist', import.meta.url));
const part = 4 << 20; // of the cache

interface Features {
  webgpu: boolean;
  opfs: boolean;
}

interface Said {
  text: string;
  fromCache: number;
  notices: string[];
  error: string; // its code
}

/** Loads a model in the page and lets it say something. */
function say(tab: Tab, source: string): Promise<Said> {
  const run = async (given: string): Promise<Said> => {
    const said: Said = { text: '', fromCache: 0, notices: [], error: '' };
    try {
      const engine = await Pronk.load(given, {
        device: 'cpu',
        contextSize: 64,
        onProgress: ({ fromCache }) => (said.fromCache = fromCache ?? said.fromCache),
        onNotice: ({ kind }) => said.notices.push(kind),
      });
      const options = { temperature: 0, maxTokens: 12, ignoreEos: true };
      for await (const piece of engine.generate('the cat', options)) said.text += piece.text;
      await engine.unload();
    } catch (error) {
      said.error = (error as { code?: string }).code ?? String(error);
    }
    return said;
  };
  return inPage(tab, run, source);
}

/** Answers to all of `cases` from the model in the box, loaded in the page; with threads once all that it can have work. */
function answer(
  tab: Tab,
  device: Device,
  cases: Golden[],
  threads?: number,
): Promise<Pick<Golden, 'prompt_tokens' | 'tokens' | 'text'>[]> {
  const run = async (given: { device: Device; cases: Golden[]; threads?: number }) => {
    const engine = await Pronk.load('builtin', { device: given.device, threads: given.threads });
    while (given.threads && (await engine.stats()).threads !== engine.plan.threads) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const answers = [];
    for (const { prompt, most } of given.cases) {
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
  };
  return inPage(tab, run, { device, cases, threads });
}

const expectedOf = (cases: Golden[]) =>
  cases.map(({ prompt_tokens, tokens, text }) => ({ prompt_tokens, tokens, text }));

/** Stops long generations of the model in the box in each way that there is, and asks once more. */
function stopAndAsk(tab: Tab, device: Device, ask: Golden) {
  const run = async (given: { device: Device; ask: Golden }) => {
    const engine = await Pronk.load('builtin', { device: given.device });
    const long = { temperature: 0, maxTokens: 1000, ignoreEos: true };

    const left = engine.generate('Once', long);
    for await (const _ of left) break;
    const { finishReason, generatedTokens } = await left.result;

    const abort = new AbortController();
    let code = '';
    try {
      for await (const _ of engine.generate('Once', { ...long, signal: abort.signal })) abort.abort();
    } catch (error) {
      code = (error as { code: string }).code;
    }

    let text = '';
    const asked = await engine.tokenize(given.ask.prompt, { special: true });
    for await (const piece of engine.generate(asked, { temperature: 0, maxTokens: given.ask.most })) text += piece.text;
    await engine.unload();
    return { finishReason, early: generatedTokens < 1000, code, text };
  };
  return inPage(tab, run, { device, ask });
}

/** Kills the engine's worker while it generates, then while it waits. */
function killWorkers(tab: Tab) {
  return inPage(
    tab,
    async () => {
      const made: Worker[] = [];
      window.Worker = class extends Worker {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(url, options);
          if (options?.name === 'pronk') made.push(this); // the others are threads
        }
      };
      const notices: string[] = [];
      const engine = await Pronk.load('builtin', { device: 'cpu', onNotice: ({ kind }) => notices.push(kind) });
      const ask = async (maxTokens: number, onPiece: () => void = () => {}): Promise<string> => {
        let text = '';
        const options = { temperature: 1, seed: 77, maxTokens, ignoreEos: true };
        for await (const piece of engine.generate('Once upon a time', options)) {
          text += piece.text;
          onPiece();
        }
        return text;
      };
      const before = await ask(24);
      const killed = await ask(1000, () => made[0]!.terminate()).catch((error) => error.code as string);
      const after = await ask(24);

      // The package waits for the lock that its worker holds, and was there first.
      const lock = (await navigator.locks.query()).held!.find(({ name }) => name!.startsWith('pronk '))!.name!;
      made[1]!.terminate();
      await navigator.locks.request(lock, () => {});
      const afterIdle = await ask(24);
      const { recoveries } = await engine.stats();
      await engine.unload();
      return { before, killed, after, afterIdle, recoveries, notices, workers: made.length };
    },
    undefined,
  );
}

const cacheList = (tab: Tab): Promise<Api.CacheEntry[]> => inPage(tab, () => Pronk.cache.list(), undefined);

interface Range {
  start: number;
  end: number; // the last byte
}

/** What each request asked for. */
const rangesOf = ({ requests }: FileServer): [Range, Range, ...Range[]] =>
  requests.map((request) => {
    const match = /^GET bytes=(\d+)-(\d+)$/.exec(request);
    return { start: Number(match?.[1]), end: Number(match?.[2]) };
  }) as [Range, Range, ...Range[]];

const steady: Faults = { etag: () => '"1"' };

export function describeEngine(engine: BrowserEngine): void {
  const missing = engine.missing();
  const [sparse] = sparseTinyModel({ spread: 1 << 20 }); // some 20 MB: several parts
  const model = sparse!.subarray(0, sparse!.length);
  const folder = mkdtempSync(join(tmpdir(), 'pronk-engines-'));
  const servers: FileServer[] = [];
  let tab: Tab | null = null;
  let site: PageServer;
  let chat: PageServer;
  let features: Features;

  const serve = async (faults: Faults = {}): Promise<FileServer> => {
    const server = await serveBytes(model, { ...steady, ...faults });
    servers.push(server);
    return server;
  };

  /** A test in the package's page, freshly opened. */
  const scenario = (name: string, run: (tab: Tab, context: TestContext) => Promise<void>): void =>
    it(name, async (context) => {
      if (!tab) return context.skip(missing!);
      await tab.open(site.origin);
      await until(tab, () => typeof Pronk === 'function', undefined);
      await run(tab, context);
    });

  beforeAll(async () => {
    if (missing) return console.log(`skipped: ${engine.name}: ${missing}`);
    for (const file of [join(distFolder, 'pronk.wasm'), join(chatFolder, 'index.html')]) {
      if (!existsSync(file)) throw new Error(`${file} is missing: run npm run build in web and demo first`);
    }
    await build({
      configFile: false,
      logLevel: 'error',
      root: pageSource,
      build: { outDir: folder, emptyOutDir: true },
    });
    site = await servePage(folder);
    chat = await servePage(chatFolder);
    tab = await engine.start();
    await tab.open(site.origin);
    features = await inPage(
      tab,
      async () => ({
        webgpu: (await navigator.gpu?.requestAdapter()) != null,
        opfs: await Promise.resolve()
          .then(() => navigator.storage.getDirectory())
          .then(
            () => true,
            () => false,
          ),
      }),
      undefined,
    );
    const agent = await tab.evaluate('navigator.userAgent');
    console.log(`${engine.name}: WebGPU ${features.webgpu}, OPFS ${features.opfs} (${agent})`);
  });
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));
  afterAll(async () => {
    site?.close();
    chat?.close();
    rmSync(folder, { recursive: true, force: true });
    await tab?.close();
  });

  describe(engine.name, () => {
    if (engine.complete) {
      scenario('WebGPU and OPFS are there', async () => {
        expect(features).toEqual({ webgpu: true, opfs: true });
      });
    }

    scenario('the model in the box answers on the CPU as it should', async (tab, context) => {
      const cases = boxGolden();
      if (!cases) return context.skip('no models/pronk-box.gguf');
      expect(await answer(tab, 'cpu', cases)).toEqual(expectedOf(cases));
    });

    scenario('threads change no token; where there can be none it is one', async (tab, context) => {
      const cases = boxGolden();
      if (!cases) return context.skip('no models/pronk-box.gguf');
      const plan = async () => (await Pronk.plan('builtin', { device: 'cpu', threads: 3 })).threads;
      expect(await inPage(tab, plan, undefined)).toBe(engine.threads ? 3 : 1);
      for (const threads of [2, 3]) expect(await answer(tab, 'cpu', cases, threads)).toEqual(expectedOf(cases));
    });

    if (!engine.slowGpu) {
      scenario('it answers on WebGPU as it should; an error where there is none', async (tab, context) => {
        const cases = boxGolden();
        if (!cases) return context.skip('no models/pronk-box.gguf');
        if (features.webgpu) expect(await answer(tab, 'webgpu', cases)).toEqual(expectedOf(cases));
        else await expect(answer(tab, 'webgpu', cases)).rejects.toThrow(/no-webgpu/);
      });
    }

    const devices: Device[] = engine.complete && !engine.slowGpu ? ['cpu', 'webgpu'] : ['cpu'];
    scenario(`a generation is stopped, and the next call works (${devices.join(', ')})`, async (tab, context) => {
      const cases = boxGolden();
      if (!cases) return context.skip('no models/pronk-box.gguf');
      const [ask] = cases;
      const stopped = { finishReason: 'cancelled', early: true, code: 'aborted', text: ask!.text };
      for (const device of devices) expect(await stopAndAsk(tab, device, ask!)).toEqual(stopped);
    });

    scenario(
      'a model is loaded again from OPFS with no server; without OPFS it says that nothing is kept',
      async (tab) => {
        const server = await serve();
        const first = await say(tab, server.url);
        const sent = server.sent;
        expect(first).toMatchObject({ fromCache: 0, notices: features.opfs ? [] : ['not-cached'], error: '' });
        await tab.open(site.origin);
        await until(tab, () => typeof Pronk === 'function', undefined);
        if (features.opfs) {
          expect(await cacheList(tab)).toMatchObject([{ url: server.url, bytes: model.length, complete: true }]);
          await server.close();
          expect(await say(tab, server.url)).toMatchObject({ text: first.text, notices: [], error: '' });
          expect(await inPage(tab, () => Pronk.cache.clear().then(() => Pronk.cache.size()), undefined)).toBe(0);
        } else {
          expect(await cacheList(tab)).toEqual([]);
          expect(await say(tab, server.url)).toEqual(first);
          expect(server.sent).toBe(2 * sent);
        }
      },
    );

    scenario('connections that break are taken up at the byte where they broke', async (tab) => {
      const whole = await say(tab, (await serve()).url);
      // Too few bytes for a part. WebKit holds what it has received for a moment, and drops that when the connection breaks.
      const server = await serve({ breakAfter: () => 2_300_000, breakPause: 1000 });
      expect(await say(tab, server.url)).toMatchObject({ text: whole.text, error: '' });
      const [, { start, end }, ...later] = rangesOf(server);
      expect(end - start).toBeGreaterThan(2_300_000);
      expect(later.some((range) => range.end === end && range.start > start)).toBe(true);
    });

    scenario('a download that failed goes on where it ended, as far as anything is kept', async (tab) => {
      const first = await serve();
      const whole = await say(tab, first.url);
      const server = await serve({ status: (n) => (n >= 3 ? 404 : undefined) });
      expect((await say(tab, server.url)).error).toBe('network');
      const kept = (await cacheList(tab)).find(({ url }) => url === server.url)?.bytes ?? 0;
      if (features.opfs) expect(kept).toBeGreaterThanOrEqual(part);
      server.faults = steady;
      const sent = server.sent;
      expect(await say(tab, server.url)).toMatchObject({ text: whole.text, error: '' });
      expect(server.sent - sent).toBe(first.sent - kept);
    });

    scenario('a worker that is killed fails what runs, and the next call has another', async (tab) => {
      const seen = await killWorkers(tab);
      expect(seen).toMatchObject({ killed: 'worker-crashed', after: seen.before, afterIdle: seen.before });
      expect(seen.before).not.toBe('');
      const notices = ['worker-restarted', 'worker-restarted'];
      expect(seen).toMatchObject({ recoveries: 2, notices, workers: 3 });
    });

    it('the chat page answers a card, and stops', async (context) => {
      if (!tab || !boxGolden()) return context.skip(missing ?? 'no models/pronk-box.gguf');
      await tab.open(chat.origin);
      const settings = { device: 'cpu', temperature: 0 };
      await inPage(tab, (given) => localStorage.setItem('pronk.settings', JSON.stringify(given)), settings);
      await tab.open(chat.origin);
      await tab.click('//button[contains(., "What is 7 + 8?")]');
      await until(tab, () => document.querySelector('.figures') !== null, undefined);
      expect(await tab.evaluate('document.querySelector(".answer").innerText')).toContain('15');

      // In the page: the story would have ended before a driver's click arrives.
      await inPage(
        tab,
        () => {
          const stop = (): void => {
            const answers = document.querySelectorAll('.answer .prose');
            const button = document.querySelector<HTMLElement>('[aria-label="Stop"]');
            if (answers.length === 2 && answers[1]!.textContent && button) button.click();
          };
          new MutationObserver(stop).observe(document.body, { subtree: true, childList: true, characterData: true });
        },
        undefined,
      );
      await tab.type('//textarea[@aria-label="Message"]', 'Tell me a story.\n');
      await until(tab, () => document.querySelectorAll('.figures').length === 2, undefined);
      expect(await tab.evaluate('document.querySelectorAll(".figures")[1].innerText')).toMatch(/stopped$/);
      expect(await tab.evaluate('String(document.querySelector("[role=alert]"))')).toBe('null');
    });
  });
}
