// The cache in Chromium's OPFS: the built package in a page, over a server with faults.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type * as Api from '../../src/api/index.js';
import { launchChromium, type PageServer, servePage } from '../support/chromium.js';
import { type Faults, type FileServer, serveBytes } from '../support/file-server.js';
import { sparseTinyModel } from '../support/tiny-gguf.js';

declare const Pronk: typeof Api.Pronk; // in the page
declare const abort: AbortController; // in the page, of its last load

const folder = mkdtempSync(join(tmpdir(), 'pronk-opfs-'));
const root = join(folder, 'dist');
const [sparse] = sparseTinyModel({ spread: 1 << 20 }); // some 20 MB: several parts
const model = sparse!.subarray(0, sparse!.length);
const size = model.length;
const part = 4 << 20;
const polling = { interval: 20 };
const servers: FileServer[] = [];
const contexts: BrowserContext[] = [];
let browser: Browser | null = null;
let site: PageServer;
let expected = '';

beforeAll(async () => {
  if (!existsSync(fileURLToPath(new URL('../../dist/pronk.wasm', import.meta.url)))) {
    throw new Error('web/dist is missing: run npm run build first');
  }
  browser = await launchChromium();
  if (!browser) return;
  const source = fileURLToPath(new URL('page', import.meta.url));
  await build({ configFile: false, logLevel: 'error', root: source, build: { outDir: root, emptyOutDir: true } });
  site = await servePage(root);
  const page = await openPage();
  expected = (await say(page, (await serve()).url, { cache: false })).text;
  expect(expected).not.toBe('');
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await Promise.all(servers.splice(0).map((server) => server.close()));
});
afterAll(async () => {
  site?.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const steady = (): string => '"1"';

async function serve(faults: Faults = {}): Promise<FileServer> {
  const server = await serveBytes(model, { etag: steady, ...faults });
  servers.push(server);
  return server;
}

/** A page; in a fresh context, with an OPFS of its own, where none is given. */
async function openPage(context?: BrowserContext): Promise<Page> {
  if (!context) contexts.push((context = await browser!.newContext()));
  const page = await context.newPage();
  await page.goto(site.origin);
  await page.waitForFunction(() => 'Pronk' in window);
  return page;
}

interface Said {
  text: string;
  fromCache: number;
  notices: string[];
  error: string; // its code
}

function say(page: Page, url: string, options: { cache?: boolean; hubEndpoint?: string } = {}): Promise<Said> {
  return page.evaluate(
    async ([source, given]) => {
      const said = { text: '', fromCache: 0, notices: [] as string[], error: '' };
      const abort = new AbortController();
      Object.assign(window, { abort });
      try {
        const engine = await Pronk.load(source, {
          device: 'cpu',
          contextSize: 64,
          signal: abort.signal,
          onProgress: ({ fromCache }) => (said.fromCache = fromCache ?? said.fromCache),
          onNotice: ({ message }) => said.notices.push(message),
          ...given,
        });
        const options = { temperature: 0, maxTokens: 12, ignoreEos: true };
        for await (const piece of engine.generate('the cat', options)) said.text += piece.text;
        await engine.unload();
      } catch (error) {
        said.error = (error as { code?: string }).code ?? String(error);
      }
      return said;
    },
    [url, options] as const,
  );
}

const list = (page: Page): Promise<Api.CacheEntry[]> => page.evaluate(() => Pronk.cache.list());

/** Turns a bit of the only entry's data around. */
function damage(page: Page, at: number): Promise<void> {
  return page.evaluate(async (offset) => {
    const entries = await (await navigator.storage.getDirectory()).getDirectoryHandle('pronk');
    for await (const entry of entries.values()) {
      const data = await (entry as FileSystemDirectoryHandle).getFileHandle('data');
      const [byte] = new Uint8Array(await (await data.getFile()).slice(offset, offset + 1).arrayBuffer());
      const stream = await data.createWritable({ keepExistingData: true });
      await stream.write({ type: 'write', position: offset, data: Uint8Array.of(byte! ^ 4) });
      await stream.close();
    }
  }, at);
}

describe('the cache in OPFS', () => {
  it('keeps a file, gives it back with no server, and is looked after from the page', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const server = await serve();
    expect(await say(page, server.url)).toEqual({ text: expected, fromCache: 0, notices: [], error: '' });
    expect(server.sent).toBe(size);
    expect(await list(page)).toMatchObject([{ url: server.url, bytes: size, size, complete: true, pinned: false }]);
    expect(await page.evaluate(() => Pronk.cache.size())).toBe(size);
    await server.close();
    const again = await say(page, server.url);
    expect(again).toMatchObject({ text: expected, notices: [], error: '' });
    expect(again.fromCache).toBeGreaterThan(size / 50);
    expect(await page.evaluate((url) => Pronk.cache.pin(url), server.url)).toBe(true);
    expect(await list(page)).toMatchObject([{ pinned: true }]);
    expect(await page.evaluate((url) => Pronk.cache.delete(url), server.url)).toBe(true);
    expect(await list(page)).toEqual([]);
    expect((await say(page, server.url)).error).toBe('network');
  });

  it('resumes a download that broke off, and one that was aborted', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const server = await serve({
      status: (n) => (n >= 3 ? 404 : undefined),
      breakAfter: (n) => (n === 2 ? 1_234_567 : undefined),
    });
    expect((await say(page, server.url)).error).toBe('network');
    const [broken] = await list(page);
    expect(broken).toMatchObject({ complete: false });
    expect(broken!.bytes).toBeGreaterThan(part);
    const asked = server.requests.length;
    server.faults = { etag: steady, hold: (n) => (n >= asked + 2 ? new Promise(() => {}) : undefined) };
    const loading = say(page, server.url);
    await expect.poll(() => server.requests.length, polling).toBeGreaterThan(asked + 2);
    await page.evaluate(() => abort.abort());
    expect((await loading).error).toBe('aborted');
    const [aborted] = await list(page);
    expect(aborted!.complete).toBe(false);
    expect(aborted!.bytes).toBeGreaterThanOrEqual(broken!.bytes);
    await expect.poll(() => server.open, polling).toBe(0); // the server has noticed too
    const sent = server.sent;
    server.faults = { etag: steady };
    expect(await say(page, server.url)).toMatchObject({ text: expected, error: '' });
    expect(server.sent - sent).toBe(size - aborted!.bytes);
    expect(await list(page)).toMatchObject([{ bytes: size, complete: true }]);
  });

  it('drops what is no longer the server’s file', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const server = await serve();
    await say(page, server.url);
    server.faults = { etag: () => '"2"' };
    expect(await say(page, server.url)).toEqual({ text: expected, fromCache: 0, notices: [], error: '' });
    expect(await list(page)).toMatchObject([{ complete: true }]);
  });

  it('finds a damaged byte and fetches its part again; with no server says so and drops the entry', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const server = await serve();
    await say(page, server.url);
    await damage(page, part + 77);
    const sent = server.sent;
    expect(await say(page, server.url)).toMatchObject({ text: expected, error: '' });
    expect(server.sent - sent).toBe(part);
    expect(await say(page, server.url)).toMatchObject({ text: expected, error: '' });
    expect(server.sent - sent).toBe(part);
    await damage(page, part + 77);
    await server.close();
    expect((await say(page, server.url)).error).toBe('damaged');
    expect(await list(page)).toEqual([]);
  });

  it('does without when there is no room, from the beginning or in the middle', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const cdp = await page.context().newCDPSession(page);
    const quota = (quotaSize: number): Promise<unknown> =>
      cdp.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize });
    const noRoom = { text: expected, error: '', notices: [expect.stringContaining('no more room')] };
    await quota(size / 2);
    const server = await serve();
    expect(await say(page, server.url)).toMatchObject(noRoom);
    const [half] = await list(page);
    expect(half?.complete ?? false).toBe(false);

    await quota(3 * size);
    const asked = server.requests.length;
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    server.faults = { etag: steady, hold: (n) => (n >= asked + 2 ? held : undefined) };
    const loading = say(page, server.url);
    await expect.poll(() => server.requests.length, polling).toBeGreaterThan(asked + 2);
    await quota(part);
    goOn();
    expect(await loading).toMatchObject(noRoom);
    await quota(4 * size);
    server.faults = { etag: steady };
    const { bytes } = (await list(page))[0]!;
    const sent = server.sent;
    expect(await say(page, server.url)).toMatchObject({ text: expected, notices: [] });
    expect(server.sent - sent).toBe(size - bytes); // what was kept was good
    expect(await list(page)).toMatchObject([{ complete: true }]);
  });

  it('makes room by what was used longest ago and is not pinned', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const cdp = await page.context().newCDPSession(page);
    const [one, two, three] = [await serve(), await serve(), await serve()];
    await say(page, one.url);
    await page.evaluate((url) => Pronk.cache.pin(url), one.url);
    await say(page, two.url);
    await cdp.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 2.5 * size });
    expect(await say(page, three.url)).toMatchObject({ text: expected, notices: [] });
    expect((await list(page)).map(({ url }) => url)).toEqual([three.url, one.url]);
  });

  it('serves two tabs at once', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const other = await openPage(page.context());
    const server = await serve({ delay: 100 });
    const both = await Promise.all([say(page, server.url), say(other, server.url)]);
    expect(both.map(({ text, error }) => [text, error])).toEqual([
      [expected, ''],
      [expected, ''],
    ]);
    expect(await list(page)).toMatchObject([{ bytes: size, complete: true }]);
    const sent = server.sent;
    await Promise.all([say(page, server.url), say(other, server.url)]).then((said) =>
      expect(said.map(({ text }) => text)).toEqual([expected, expected]),
    );
    expect(server.sent).toBe(sent);
  });

  it('checks the SHA-256 that a hub tells', async (context) => {
    if (!browser) return context.skip();
    const page = await openPage();
    const server = await serve();
    const oid = createHash('sha256').update(model).digest('hex');
    const hub = (hash: string): Faults => ({
      json: (path) => (path.startsWith('/api/') ? [{ path: 'm.gguf', lfs: { oid: hash } }] : undefined),
    });
    server.faults = hub(oid);
    const options = { hubEndpoint: server.origin };
    expect(await say(page, 'hf:owner/repo/m.gguf', options)).toMatchObject({ text: expected, notices: [] });
    expect(await list(page)).toMatchObject([
      { url: `${server.origin}/owner/repo/resolve/main/m.gguf`, complete: true },
    ]);
    await page.evaluate(() => Pronk.cache.clear());
    server.faults = hub('0'.repeat(64));
    expect((await say(page, 'hf:owner/repo/m.gguf', options)).error).toBe('damaged');
    expect(await list(page)).toEqual([]);
  });
});
