// The built package's CPU path with several threads in real Chromium, and in a page that can have but one.
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Api from '../../src/api/index.js';
import { launchChromium, type PageServer, servePage } from '../support/chromium.js';
import { boxGolden, type Golden } from '../support/golden.js';

declare const Pronk: typeof Api.Pronk; // in the page
declare const engine: Api.Pronk;
declare const notices: Api.Notice[];

const folder = mkdtempSync(join(tmpdir(), 'pronk-threads-'));
const root = join(folder, 'dist');
let browser: Browser | null = null;
let isolated: PageServer;
let open: PageServer; // its pages are not isolated

beforeAll(async () => {
  if (!existsSync(fileURLToPath(new URL('../../dist/pronk-threads.wasm', import.meta.url)))) {
    throw new Error('web/dist is missing: run npm run build first');
  }
  browser = await launchChromium();
  if (!browser) return;
  const source = fileURLToPath(new URL('page', import.meta.url));
  await build({ configFile: false, logLevel: 'error', root: source, build: { outDir: root, emptyOutDir: true } });
  isolated = await servePage(root);
  open = await servePage(root, undefined, { isolated: false });
});

afterAll(async () => {
  isolated?.close();
  open?.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function withPage(server: PageServer, use: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser!.newContext();
  try {
    const page = await context.newPage();
    await page.goto(server.origin);
    await page.waitForFunction(() => 'Pronk' in window);
    await use(page);
  } finally {
    await context.close();
  }
}

/** Loads the model in the box, as `engine` in the page. */
async function loadBox(page: Page, threads: number): Promise<number> {
  return page.evaluate(async (threads) => {
    const notices: Api.Notice[] = [];
    const engine = await Pronk.load('builtin', {
      device: 'cpu',
      threads,
      onNotice: (notice) => notices.push(notice),
    });
    Object.assign(window, { engine, notices });
    return engine.plan.threads;
  }, threads);
}

/** Waits until so many threads work. */
async function untilServing(page: Page, threads: number): Promise<void> {
  const serving = (): Promise<number> => page.evaluate(async () => (await engine.stats()).threads);
  await expect.poll(serving).toBe(threads);
}

function answersOf(page: Page, cases: Golden[]): Promise<Pick<Golden, 'tokens' | 'text'>[]> {
  return page.evaluate(async (given) => {
    const answers = [];
    for (const { prompt_tokens, most } of given) {
      const tokens: number[] = [];
      let text = '';
      for await (const piece of engine.generate(prompt_tokens, { temperature: 0, maxTokens: most })) {
        if (piece.token !== null) tokens.push(piece.token);
        text += piece.text;
      }
      answers.push({ tokens, text });
    }
    return answers;
  }, cases);
}

const expectedOf = (cases: Golden[]) => cases.map(({ tokens, text }) => ({ tokens, text }));

/** The engine's worker and those of its threads. The page itself does not hear of the end of a worker's worker. */
async function workersOf(page: Page): Promise<number> {
  const session = await browser!.newBrowserCDPSession();
  const { targetInfos } = await session.send('Target.getTargets');
  await session.detach();
  const origin = new URL(page.url()).origin;
  return targetInfos.filter(({ type, url }) => type === 'worker' && url.startsWith(origin)).length;
}

const untilWorkers = (page: Page, count: number): Promise<void> => expect.poll(() => workersOf(page)).toBe(count);

describe('threads in Chromium', () => {
  it('change no token, however many they are, and leave no worker', async (context) => {
    const cases = boxGolden();
    if (!browser || !cases) return context.skip();
    await withPage(isolated, async (page) => {
      for (const threads of [1, 2, 3]) {
        expect(await loadBox(page, threads)).toBe(threads);
        await untilServing(page, threads);
        expect(await workersOf(page)).toBe(threads);
        expect(await answersOf(page, cases)).toEqual(expectedOf(cases));
        const { allocated, plan } = await page.evaluate(async () => ({
          allocated: (await engine.stats()).allocated,
          plan: engine.plan,
        }));
        expect(allocated).toEqual(plan.memory);
        await page.evaluate(() => engine.unload());
        await untilWorkers(page, 0);
      }
    });
  });

  it('are one in a page that is not isolated', async (context) => {
    const cases = boxGolden();
    if (!browser || !cases) return context.skip();
    await withPage(open, async (page) => {
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
      expect(await loadBox(page, 2)).toBe(1);
      expect(await workersOf(page)).toBe(1);
      const why = 'the page is not cross-origin isolated (headers COOP and COEP)';
      const message = `the CPU has 1 thread instead of 2: ${why}`;
      expect(await page.evaluate(() => notices)).toEqual([{ kind: 'fewer-threads', message }]);
      expect(await answersOf(page, cases.slice(0, 2))).toEqual(expectedOf(cases.slice(0, 2)));
    });
  });

  it('stop in mid-answer, and answer again', async (context) => {
    const cases = boxGolden();
    if (!browser || !cases) return context.skip();
    await withPage(isolated, async (page) => {
      await loadBox(page, 3);
      await untilServing(page, 3);
      const code = await page.evaluate(async () => {
        const abort = new AbortController();
        const options = { maxTokens: 2000, ignoreEos: true, signal: abort.signal };
        try {
          for await (const _ of engine.generate('Once', options)) abort.abort();
          return 'ended';
        } catch (error) {
          return (error as Api.PronkError).code;
        }
      });
      expect(code).toBe('aborted');
      expect(await answersOf(page, cases.slice(0, 1))).toEqual(expectedOf(cases.slice(0, 1)));
    });
  });

  it('go with a worker that is killed, and come again with the next', async (context) => {
    const cases = boxGolden();
    if (!browser || !cases) return context.skip();
    await withPage(isolated, async (page) => {
      await page.evaluate(() => {
        const made: Worker[] = [];
        window.Worker = class extends Worker {
          constructor(url: string | URL, options?: WorkerOptions) {
            super(url, options);
            made.push(this);
          }
        };
        Object.assign(window, { made });
      });
      await loadBox(page, 3);
      await untilServing(page, 3);
      // Made by the page, all of them: a worker of a worker is what Firefox may hang in making.
      expect(await page.evaluate(() => (window as unknown as { made: Worker[] }).made.length)).toBe(3);
      await page.evaluate(async () => {
        const { made } = window as unknown as { made: Worker[] };
        const generation = engine.generate('Once', { maxTokens: 2000, ignoreEos: true });
        try {
          for await (const _ of generation) made[0]!.terminate();
        } catch {
          // its worker is gone
        }
      });
      await untilWorkers(page, 0);
      expect(await answersOf(page, cases.slice(0, 1))).toEqual(expectedOf(cases.slice(0, 1)));
      await untilServing(page, 3);
      expect(await workersOf(page)).toBe(3);
      expect(await page.evaluate(() => notices.map(({ kind }) => kind))).toEqual(['worker-restarted']);
    });
  });

  it('are done without where their script cannot be had', async (context) => {
    const cases = boxGolden();
    if (!browser || !cases) return context.skip();
    const broken = join(folder, 'broken');
    cpSync(root, broken, { recursive: true });
    const scripts = readdirSync(join(broken, 'assets')).filter((name) => name.startsWith('thread-'));
    expect(scripts.length).toBe(1);
    rmSync(join(broken, 'assets', scripts[0]!));
    const server = await servePage(broken);
    await withPage(server, async (page) => {
      await loadBox(page, 3);
      expect(await answersOf(page, cases.slice(0, 1))).toEqual(expectedOf(cases.slice(0, 1)));
      const kinds = (): Promise<string[]> => page.evaluate(() => notices.map(({ kind }) => kind));
      await expect.poll(kinds).toEqual(['fewer-threads', 'fewer-threads']);
      expect(await page.evaluate(async () => (await engine.stats()).threads)).toBe(1);
    });
    server.close();
  });
});
