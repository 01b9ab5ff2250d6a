// The built package in Node with the cache: URLs, hf: names, split models, files over 4 GiB.
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LoadOptions, type LoadProgress, type ModelSource, Pronk } from '../../dist/api/node.js';
import { type Faults, type FileServer, serveBytes } from '../support/file-server.js';
import { randomNumbers } from '../support/random.js';
import { sparseTinyModel, tinyModel } from '../support/tiny-gguf.js';

const boxPath = fileURLToPath(new URL('../../../models/pronk-box.gguf', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'pronk-node-cache-'));
const servers: FileServer[] = [];
const kept = { ...process.env };

beforeAll(() => {
  process.env['XDG_CACHE_HOME'] = root;
});
afterEach(async () => {
  delete process.env['PRONK_HF_ENDPOINT'];
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await Pronk.cache.clear();
});
afterAll(() => {
  process.env = kept;
  rmSync(root, { recursive: true, force: true });
});

async function serve(...given: Parameters<typeof serveBytes>): Promise<FileServer> {
  const server = await serveBytes(given[0], { etag: () => '"1"', ...given[1] });
  servers.push(server);
  return server;
}

/** What the model says, and the last that was heard of its loading. */
async function say(
  source: ModelSource,
  options: LoadOptions = {},
): Promise<{ text: string; last: LoadProgress | null }> {
  let last: LoadProgress | null = null;
  const onProgress = (progress: LoadProgress): void => void (last = progress);
  const engine = await Pronk.load(source, { device: 'cpu', contextSize: 64, onProgress, ...options });
  let text = '';
  for await (const piece of engine.generate('the cat', { temperature: 0, maxTokens: 12, ignoreEos: true }))
    text += piece.text;
  await engine.unload();
  return { text, last };
}

describe('loading from a URL', () => {
  it('keeps the file, and loads it again with no server', async () => {
    const file = tinyModel()[0]!;
    const expected = (await say(file)).text;
    const server = await serve(file);
    expect((await say(server.url)).text).toBe(expected);
    expect(await Pronk.cache.list()).toMatchObject([
      { url: server.url, name: 'model one.gguf', bytes: file.length, size: file.length, complete: true, pinned: false },
    ]);
    expect(await Pronk.cache.size()).toBe(file.length);
    await server.close();
    expect((await say(server.url)).text).toBe(expected);
    expect((await Pronk.plan(server.url)).fileBytes).toBeGreaterThan(0); // offline too
  });

  it('keeps nothing when told so, and in another folder when told so', async () => {
    const server = await serve(readFileSync(boxPath));
    await say(server.url, { cache: false });
    await Pronk.plan(server.url, { device: 'cpu' });
    expect(await Pronk.cache.list()).toEqual([]);
    const other = join(root, 'elsewhere');
    await say(server.url, { cache: other });
    expect(await Pronk.cache.list()).toEqual([]);
    expect(await Pronk.cacheIn(other).list()).toMatchObject([{ url: server.url, complete: true }]);
    await expect(Pronk.load(server.url, { cache: 7 as never })).rejects.toMatchObject({ code: 'bad-argument' });
  });

  it('of the model in the box, aborted and cut at random bytes until it is there', async () => {
    const file = readFileSync(boxPath);
    const random = randomNumbers(5);
    const server = await serve(file);
    let have = 0;
    for (let share = 0.2; share < 0.9; share += 0.2) {
      const abort = new AbortController();
      const breakAfter = (): number => {
        if (server.sent > share * file.length) abort.abort();
        return Math.floor(random() * 400_000); // taken up again
      };
      server.faults = { etag: () => '"1"', breakAfter };
      await expect(say(server.url, { signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
      const [entry] = await Pronk.cache.list();
      expect(entry?.complete ?? false).toBe(false);
      expect(entry?.bytes ?? 0).toBeGreaterThanOrEqual(have);
      have = entry?.bytes ?? 0;
    }
    expect(have).toBeGreaterThan(0.5 * file.length); // what a broken connection had under way is sent again
    server.faults = { etag: () => '"1"' };
    const sent = server.sent;
    expect((await say(server.url)).text).toBe((await say(boxPath)).text);
    expect(server.sent - sent).toBe(file.length - have);
    expect(readFileSync(join(root, 'pronk', readdirSync(join(root, 'pronk'))[0]!, 'data')).equals(file)).toBe(true);
  });
});

describe('hf: names', () => {
  const hub = (files: Record<string, string>): Faults => ({
    json: (path) => {
      const listed = path.startsWith('/api/models/owner/repo/tree/');
      return listed ? Object.entries(files).map(([name, oid]) => ({ path: name, lfs: { oid } })) : undefined;
    },
  });

  it('are loaded, checked by the hub’s hash, and pinned by name', async () => {
    const file = tinyModel()[0]!;
    const sha = createHash('sha256').update(file).digest('hex');
    const server = await serve(file, hub({ 'model.gguf': sha }));
    process.env['PRONK_HF_ENDPOINT'] = server.origin;
    expect((await say('hf:owner/repo/model.gguf')).text).not.toBe('');
    const [entry] = await Pronk.cache.list();
    expect(entry).toMatchObject({ url: `${server.origin}/owner/repo/resolve/main/model.gguf`, complete: true });
    expect(await Pronk.cache.pin('hf:owner/repo/model.gguf')).toBe(true);
    expect((await Pronk.cache.list())[0]!.pinned).toBe(true);
    expect(await Pronk.cache.delete('hf:owner/repo/model.gguf')).toBe(true);

    servers[0]!.faults = hub({ 'sub/model.gguf': 'f'.repeat(64) });
    await expect(say('hf:owner/repo@v1/sub/model.gguf')).rejects.toMatchObject({ code: 'damaged' });
    expect(await Pronk.cache.list()).toEqual([]);
    await expect(say('hf:nothing')).rejects.toMatchObject({ code: 'bad-argument' });
  });

  it('of a split model stand for all its files', async () => {
    const shards = tinyModel({ shards: 3 });
    const expected = (await say(shards)).text;
    const fileServers = await Promise.all(shards.map((shard) => serve(shard)));
    // One origin for all: redirects to where each shard is.
    const { createServer } = await import('node:http');
    const front = createServer((request, response) => {
      const match = /^\/owner\/repo\/resolve\/main\/m-0000(\d)-of-00003\.gguf$/.exec(request.url!);
      if (match) response.writeHead(302, { Location: fileServers[Number(match[1]) - 1]!.url }).end();
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    try {
      const hubEndpoint = `http://127.0.0.1:${(front.address() as { port: number }).port}/`;
      expect((await say('hf:owner/repo/m-00001-of-00003.gguf', { hubEndpoint })).text).toBe(expected);
      expect(await Pronk.cache.list()).toHaveLength(3);
      front.closeAllConnections();
      front.close();
      expect((await say('hf:owner/repo/m-00001-of-00003.gguf', { hubEndpoint })).text).toBe(expected);
    } finally {
      front.close();
    }
  });
});

describe('a file over 4 GiB', () => {
  it('gives the same from a path, and over HTTP', async () => {
    const expected = (await say(tinyModel()[0]!)).text;
    const [file] = sparseTinyModel({ spread: 256 << 20 });
    expect(file!.length).toBeGreaterThan(5 * 2 ** 30);
    const path = join(root, 'sparse.gguf');
    closeSync(openSync(path, 'w'));
    truncateSync(path, file!.length);
    const handle = openSync(path, 'r+');
    for (const { at, bytes } of file!.pieces) writeSync(handle, bytes, 0, bytes.length, at);
    closeSync(handle);
    expect((await say(path)).text).toBe(expected);
    const server = await serve(file!);
    expect((await say(server.url)).text).toBe(expected);
    expect(server.sent).toBeLessThan(400 << 20); // the holes were not read, but for what was asked ahead
  });
});
