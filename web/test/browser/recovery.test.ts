// In real Chromium the GPU's device is destroyed in the engine's worker, and the worker killed.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Api from '../../src/api/index.js';
import { launchChromium, type PageServer, servePage } from '../support/chromium.js';
import { tinyModel } from '../support/tiny-gguf.js';

declare const Pronk: typeof Api.Pronk; // in the page
declare const workers: Worker[]; // all that the page has made

const folder = mkdtempSync(join(tmpdir(), 'pronk-recovery-'));
const root = join(folder, 'dist');
let browser: Browser | null = null;
let server: PageServer;

beforeAll(async () => {
  if (!existsSync(fileURLToPath(new URL('../../dist/pronk.wasm', import.meta.url)))) {
    throw new Error('web/dist is missing: run npm run build first');
  }
  browser = await launchChromium();
  if (!browser) return;
  const model = join(folder, 'tiny.gguf');
  writeFileSync(model, tinyModel()[0]!);
  const source = fileURLToPath(new URL('page', import.meta.url));
  await build({ configFile: false, logLevel: 'error', root: source, build: { outDir: root, emptyOutDir: true } });
  server = await servePage(root, model);
});

afterAll(async () => {
  server?.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function withPage(use: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser!.newContext();
  try {
    const page = await context.newPage();
    await page.addInitScript(() => {
      const made: Worker[] = [];
      class WatchedWorker extends Worker {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(url, options);
          made.push(this);
        }
      }
      Object.assign(window, { workers: made, Worker: WatchedWorker });
    });
    await page.goto(server.origin);
    await page.waitForFunction(() => 'Pronk' in window);
    await use(page);
  } finally {
    await context.close();
  }
}

/** In the page: loads the model and makes `say`, which gives the text of a sampled answer. */
async function load(page: Page, device: 'cpu' | 'webgpu'): Promise<string> {
  return page.evaluate(async (device) => {
    const notices: string[] = [];
    const onNotice = ({ kind }: { kind: string }): number => notices.push(kind);
    const engine = await Pronk.load('models/tiny.gguf', { device, threads: 1, onNotice });
    const say = async (onPiece: (n: number) => void = () => {}): Promise<string> => {
      const generation = engine.generate('the cat', { temperature: 1, seed: 77, maxTokens: 32, ignoreEos: true });
      let text = '';
      let pieces = 0;
      for await (const piece of generation) {
        text += piece.text;
        onPiece(pieces++);
      }
      return `${text} (${(await generation.result).generatedTokens})`;
    };
    Object.assign(window, { engine, notices, say });
    return say();
  }, device);
}

interface Loaded {
  engine: Api.Pronk;
  notices: string[];
  say(onPiece?: (n: number) => void): Promise<string>;
}

describe('in Chromium', () => {
  it('a GPU that is lost in mid-generation changes no text', async (context) => {
    if (!browser) return context.skip();
    await withPage(async (page) => {
      const expected = await load(page, 'webgpu');
      expect(expected).toMatch(/ \(32\)$/);
      await page.workers()[0]!.evaluate(() => {
        const { prototype } = GPUDevice;
        const create = prototype.createCommandEncoder;
        let left = 12;
        prototype.createCommandEncoder = function (this: GPUDevice, descriptor) {
          if (left-- === 0) this.destroy();
          return create.call(this, descriptor);
        };
      });
      const seen = await page.evaluate(async () => {
        const { engine, notices, say } = window as unknown as Loaded;
        const text = await say();
        const { recoveries, allocated } = await engine.stats();
        return { text, notices, recoveries, allocated, planned: engine.plan.memory, device: engine.device };
      });
      expect(seen.text).toBe(expected);
      expect(seen).toMatchObject({
        notices: ['device-lost', 'device-lost-recovered'],
        recoveries: 1,
        device: 'webgpu',
      });
      expect(seen.allocated).toEqual(seen.planned);
    });
  });

  it('a worker that is killed fails what runs, and the next call has another', async (context) => {
    if (!browser) return context.skip();
    await withPage(async (page) => {
      const expected = await load(page, 'cpu');
      const killed = await page.evaluate(async () => {
        const { say } = window as unknown as Loaded;
        return say((n) => n === 3 && workers[0]!.terminate()).catch((error) => error.code as string);
      });
      expect(killed).toBe('worker-crashed');
      expect(await page.evaluate(() => (window as unknown as Loaded).say())).toBe(expected);

      // Now while nothing runs; the answer may be lost with it.
      const worker = page.workers()[0]!;
      await worker.evaluate(() => self.close()).catch(() => {});
      await expect.poll(() => page.workers().length).toBe(0);
      const seen = await page.evaluate(async () => {
        const { engine, notices, say } = window as unknown as Loaded;
        const text = await say().catch(() => say()); // the call may be sent before the end is known
        const { recoveries } = await engine.stats();
        await engine.unload();
        return { text, notices, recoveries, workers: workers.length };
      });
      expect(seen).toEqual({
        text: expected,
        notices: ['worker-restarted', 'worker-restarted'],
        recoveries: 2,
        workers: 3,
      });
      await expect.poll(() => page.workers().length).toBe(0);
    });
  });

  it('an aborted load leaves no worker behind', async (context) => {
    if (!browser) return context.skip();
    await withPage(async (page) => {
      for (const phase of ['header', 'prepare']) {
        const code = await page.evaluate((phase) => {
          const abort = new AbortController();
          const onProgress: Api.LoadOptions['onProgress'] = (progress) => progress.phase === phase && abort.abort();
          return Pronk.load('models/tiny.gguf', { device: 'webgpu', onProgress, signal: abort.signal }).catch(
            (error) => error.code as string,
          );
        }, phase);
        expect(code).toBe('aborted');
        // Its thread ends when Chromium's GPU process has compiled what it was given: that cannot be called back.
        await expect.poll(() => page.workers().length).toBe(0);
        expect(await page.evaluate(async () => (await navigator.locks.query()).held)).toEqual([]);
      }
    });
  });

  it('the context size auto is what half of the memory allows', async (context) => {
    if (!browser) return context.skip();
    await withPage(async (page) => {
      const [auto, tight, small] = await page.evaluate(async () => {
        const plan = (options: Api.LoadOptions) => Pronk.plan('models/tiny.gguf', { device: 'cpu', ...options });
        const auto = await plan({ contextSize: 'auto' });
        const tight = await plan({ contextSize: 'auto', memoryBudget: auto.memory.total - 10_000 });
        return [auto, tight, await plan({ memoryBudget: 1000 })];
      });
      expect(auto).toMatchObject({ fits: true, refusal: '', contextLength: 256, largestContext: 256 });
      expect(auto!.memoryBudget).toBeGreaterThanOrEqual(2 ** 27);
      expect(tight!.fits).toBe(true);
      expect(tight!.contextLength).toBeLessThan(256);
      expect(small).toMatchObject({ fits: false, largestContext: 0, memoryBudget: 1000 });
    });
  });
});
