// The built package as plain ES modules and in Vite's development server: without a bundler between, in real Chromium.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { createServer } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Api from '../../src/api/index.js';
import { launchChromium, servePage } from '../support/chromium.js';
import { type Faults, type FileServer, serveBytes } from '../support/file-server.js';
import { tinyModel } from '../support/tiny-gguf.js';

declare const Pronk: typeof Api.Pronk; // in the page

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pronk-modules-'));
const model = tinyModel()[0]!;
let browser: Browser | null = null;
let hub: FileServer;

beforeAll(async () => {
  if (!existsSync(join(dist, 'pronk.wasm'))) throw new Error('web/dist is missing: run npm run build first');
  browser = await launchChromium();
  hub = await serveBytes(model, { etag: () => '"one"' });
});

afterAll(async () => {
  await hub?.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const lists = (oid: string): Faults => ({
  etag: () => '"one"',
  json: (path) => (path.startsWith('/api/models/o/r/tree/') ? [{ path: 'm.gguf', lfs: { oid } }] : undefined),
});

/** What becomes of loading from a hub that promises this hash. */
async function loadFrom(origin: string, oid: string): Promise<{ ended: string; notices: string[] }> {
  hub.faults = lists(oid);
  const context = await browser!.newContext();
  try {
    const page = await context.newPage();
    await page.goto(origin);
    await page.waitForFunction(() => 'Pronk' in window);
    return await page.evaluate(async (hubEndpoint) => {
      const notices: string[] = [];
      const onNotice = ({ message }: { message: string }) => notices.push(message);
      try {
        const engine = await Pronk.load('hf:o/r/m.gguf', { device: 'cpu', hubEndpoint, onNotice });
        const { generatedTokens } = await engine.generate('ab', { maxTokens: 3, ignoreEos: true }).result;
        await engine.unload();
        return { ended: `${generatedTokens} tokens`, notices };
      } catch (error) {
        return { ended: (error as Api.PronkError).code, notices };
      }
    }, hub.origin);
  } finally {
    await context.close();
  }
}

async function expectChecked(origin: string): Promise<void> {
  const sha = createHash('sha256').update(model).digest('hex');
  expect(await loadFrom(origin, sha)).toEqual({ ended: '3 tokens', notices: [] });
  expect(await loadFrom(origin, '0'.repeat(64))).toEqual({ ended: 'damaged', notices: [] });
}

describe('without a bundler', () => {
  it('as plain ES modules, a download is checked by its SHA-256', async (context) => {
    if (!browser) return context.skip();
    cpSync(dist, join(folder, 'dist'), { recursive: true });
    writeFileSync(join(folder, 'main.js'), "import { Pronk } from './dist/api/index.js'; window.Pronk = Pronk;");
    writeFileSync(join(folder, 'index.html'), '<!doctype html><script type="module" src="main.js"></script>');
    const server = await servePage(folder);
    try {
      await expectChecked(server.origin);
    } finally {
      server.close();
    }
  });

  it("in Vite's development server, too", async (context) => {
    if (!browser) return context.skip();
    const vite = await createServer({
      configFile: false,
      logLevel: 'error',
      root: fileURLToPath(new URL('page', import.meta.url)),
      cacheDir: join(folder, 'vite'),
      server: { host: 'localhost', port: 18_600, fs: { allow: [fileURLToPath(new URL('../..', import.meta.url))] } },
    });
    try {
      await vite.listen();
      await expectChecked(vite.resolvedUrls!.local[0]!);
    } finally {
      await vite.close();
    }
  });
});
