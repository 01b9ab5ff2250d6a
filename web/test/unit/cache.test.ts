// The cache over a plain folder: what is kept, resumed, checked, repaired and dropped, and each fault with nothing lost.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cachePart, type EntryInfo, keyOf, ModelCache, parseInfo, writeEntry } from '../../src/runtime/cache.js';
import { type FolderSystem, PlainFolder } from '../../src/runtime/cache-folder.js';
import { type CachedSource, cachedUrl } from '../../src/runtime/cached-source.js';
import type { HttpOptions } from '../../src/runtime/http-source.js';
import { Sha256 } from '../../src/runtime/sha256.js';
import type { ByteSource } from '../../src/runtime/source.js';
import { type Content, type Faults, type FileServer, serveBytes } from '../support/file-server.js';
import { randomBytes, randomNumbers } from '../support/random.js';

const size = 2 * cachePart + 1_234_567;
const bytes = randomBytes(size, 3);
const sha = createHash('sha256').update(bytes).digest('hex');
const noRetry: HttpOptions = { delays: [] };

vi.setConfig({ testTimeout: 120_000 }); // many megabytes are hashed

let root = '';
const servers: FileServer[] = [];
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'pronk-cache-'))));
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  rmSync(root, { recursive: true, force: true });
});

async function serve(faults: Faults = {}, content: Content = bytes): Promise<FileServer> {
  const server = await serveBytes(content, { etag: () => '"one"', ...faults });
  servers.push(server);
  return server;
}

function source(url: string, http = noRetry, folder = new PlainFolder(root), hub = false): CachedSource {
  return cachedUrl(
    { kind: 'url', url, cache: true, hub },
    { folder: async () => folder, startHash: () => new Sha256() },
    http,
  ) as CachedSource;
}

async function readOn(from: ByteSource, all: Buffer, start = 0, signal?: AbortSignal): Promise<number> {
  let at = start;
  while (at < all.length) {
    const part = await from.read(at, Math.min(all.length - at, 300_000), all.length, signal);
    if (part.length === 0) break;
    all.set(part, at);
    at += part.length;
  }
  return at;
}

/** A whole load: whether the bytes were right, and how many came from the cache. */
async function load(
  url: string,
  http = noRetry,
  folder?: PlainFolder,
): Promise<{ right: boolean; fromCache: number; note: string }> {
  const file = source(url, http, folder);
  const all = Buffer.alloc(size);
  try {
    await readOn(file, all);
    return { right: all.equals(bytes), fromCache: file.fromCache, note: file.note };
  } finally {
    await file.close();
  }
}

async function entryOf(url: string): Promise<EntryInfo | null> {
  const path = join(root, await keyOf(url), 'entry.json');
  return existsSync(path) ? parseInfo(readFileSync(path, 'utf8')) : null;
}

async function pathOf(url: string, name: string): Promise<string> {
  return join(root, await keyOf(url), name);
}

async function damage(path: string, at: number): Promise<void> {
  const data = readFileSync(path);
  data[at]! ^= 1;
  writeFileSync(path, data);
}

describe('where there is no place for a cache', () => {
  it('a file is read all the same, and a note says that nothing is kept', async () => {
    const server = await serve();
    const spec = { kind: 'url', url: server.url, cache: true, hub: false } as const;
    const file = cachedUrl(spec, { folder: async () => null, startHash: () => new Sha256() }, noRetry);
    const all = Buffer.alloc(size);
    expect(await readOn(file, all)).toBe(size);
    await file.close();
    expect(all.equals(bytes)).toBe(true);
    expect(file.note).toMatch(/no place to keep it/);
  });
});

describe('an entry', () => {
  it('is written while the file streams in, as the layout says, and read without the network', async () => {
    const server = await serve();
    expect(await load(server.url)).toEqual({ right: true, fromCache: 0, note: '' });
    const key = createHash('sha256').update(server.url).digest('hex').slice(0, 32);
    expect(readdirSync(root)).toEqual([key]);
    expect(readdirSync(join(root, key)).sort()).toEqual(['data', 'entry.json', 'hashes']);
    expect(readFileSync(join(root, key, 'data')).equals(bytes)).toBe(true);
    const hashes = [0, 1, 2].map((i) =>
      createHash('sha256')
        .update(bytes.subarray(i * cachePart, (i + 1) * cachePart))
        .digest(),
    );
    expect(readFileSync(join(root, key, 'hashes')).equals(Buffer.concat(hashes))).toBe(true);
    expect(JSON.parse(readFileSync(join(root, key, 'entry.json'), 'utf8'))).toEqual({
      version: 1,
      url: server.url,
      etag: '"one"',
      size,
      sha256: null,
      have: size,
      complete: true,
      pinned: false,
      used: expect.any(Number),
    });

    const asked = server.requests.length;
    expect(await load(server.url)).toEqual({ right: true, fromCache: size, note: '' });
    expect(server.requests.slice(asked)).toEqual(['HEAD']);
    await server.close();
    expect(await load(server.url)).toEqual({ right: true, fromCache: size, note: '' }); // offline
  });

  it('is not made for a file that somebody only looked at', async () => {
    const server = await serve();
    const file = source(server.url);
    await file.read(0, 1 << 20, 1 << 20);
    expect(file.size).toBe(size);
    await file.close();
    expect(readdirSync(root)).toEqual([]);
  });

  it('is made whole where a little behind the wanted bytes is left', async () => {
    const server = await serve();
    const file = source(server.url);
    const all = Buffer.alloc(size - 1000);
    await readOn(file, all);
    expect(all.equals(bytes.subarray(0, size - 1000))).toBe(true);
    await file.close();
    expect(await entryOf(server.url)).toMatchObject({ have: size, complete: true });
  });

  it('takes small jumps, and does without what lies behind a great one', async () => {
    const server = await serve();
    const file = source(server.url);
    const first = (await file.read(0, 1000, 1000)).slice();
    const next = (await file.read(6_000_000, 1000, 6_001_000)).slice();
    await file.close();
    expect(Buffer.from(first).equals(bytes.subarray(0, first.length))).toBe(true);
    expect(Buffer.from(next).equals(bytes.subarray(6_000_000, 6_000_000 + next.length))).toBe(true);
    expect((await entryOf(server.url))!.have).toBe(6_000_000 + next.length);
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: 6_000_000 + next.length });
  });
});

describe('faults, with nothing lost', () => {
  it('50 cuts at random bytes: each load goes on where the last one broke', async () => {
    const server = await serve();
    const random = randomNumbers(2);
    let have = 0;
    for (let i = 0; i < 50; i++) {
      const cut = Math.floor(random() * (size / 25));
      server.faults = { etag: () => '"one"', breakAfter: () => cut };
      const asked = server.requests.length;
      const file = source(server.url);
      const all = Buffer.alloc(size);
      const failure = await readOn(file, all, 0).then(
        () => null,
        (error: unknown) => error,
      );
      await file.close();
      if (failure === null) break;
      expect(failure).toMatchObject({ code: 'network' });
      const gets = server.requests.slice(asked).filter((request) => request.startsWith('GET'));
      expect(gets[0]).toMatch(`GET bytes=${have}-`);
      have = (await entryOf(server.url))?.have ?? 0;
      expect(have).toBeLessThan(size);
    }
    expect(have).toBeGreaterThan(cachePart); // several parts of the way
    server.faults = { etag: () => '"one"' };
    const sent = server.sent;
    expect(await load(server.url)).toEqual({ right: true, fromCache: have, note: '' });
    expect(server.sent - sent).toBe(size - have);
    expect(await entryOf(server.url)).toMatchObject({ have: size, complete: true });
  });

  it('50 cuts within one load', async () => {
    const random = randomNumbers(3);
    const server = await serve({ breakAfter: (n) => (n < 50 ? Math.floor(random() * 150_000) : undefined) });
    expect(await load(server.url, { delays: [1, 1, 1, 1, 1, 1] })).toEqual({ right: true, fromCache: 0, note: '' });
    await server.close();
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: size });
  });

  it('a server without ranges: the rest is kept, the beginning comes from the cache', async () => {
    const server = await serve({ ranges: false, breakAfter: () => 5_000_000 });
    await expect(load(server.url)).rejects.toMatchObject({ code: 'network' });
    const { have } = (await entryOf(server.url))!;
    expect(have).toBeGreaterThan(4_000_000);
    server.faults = { ranges: false, etag: () => '"one"' };
    expect(await load(server.url)).toEqual({ right: true, fromCache: have, note: '' });
    expect(await entryOf(server.url)).toMatchObject({ complete: true });
  });

  it('a wrong length, of a body and of the file', async () => {
    const server = await serve({ breakAfter: () => 6_000_000, ranges: false });
    await expect(load(server.url)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('model one.gguf'),
    });
    server.content = bytes.subarray(0, size - 1);
    server.faults = { hideContentRange: true }; // no ETag: the length tells
    const file = source(server.url);
    await file.read(0, 10, 10);
    expect(file.fromCache).toBe(0);
    expect(file.size).toBe(size - 1);
    await file.close();
  });

  it('a changed ETag, before and during a load', async () => {
    const server = await serve({ breakAfter: () => 3_000_000 });
    await expect(load(server.url)).rejects.toMatchObject({ code: 'network' });
    expect((await entryOf(server.url))!.have).toBeGreaterThan(0);
    server.faults = { etag: () => '"two"' };
    expect(await load(server.url)).toEqual({ right: true, fromCache: 0, note: '' });
    expect(await entryOf(server.url)).toMatchObject({ etag: '"two"', complete: true });
    const third = serve({ etag: (n) => (n === 0 ? '"x"' : '"y"') });
    await expect(load((await third).url)).rejects.toMatchObject({ message: expect.stringContaining('changed') });
    expect(await entryOf((await third).url)).toBeNull();
  });

  it('429 and 503 for a while, and for ever', async () => {
    const busy = await serve({ status: (n) => (n % 3 === 0 ? (n % 2 ? 503 : 429) : undefined) });
    expect(await load(busy.url, { delays: [1, 1, 1] })).toMatchObject({ right: true });
    const server = await serve({ status: (n) => (n > 0 ? 429 : undefined) });
    await expect(load(server.url, { delays: [1, 1] })).rejects.toMatchObject({ code: 'network' });
    const { have } = (await entryOf(server.url))!;
    expect(have).toBe(cachePart);
    server.faults = { etag: () => '"one"' };
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: have });
  });

  it('a full disk: the load goes on, and what was kept is resumed later', async () => {
    let left = 6 << 20;
    const full: FolderSystem = {
      room: async () => Infinity,
      async open(...given: Parameters<typeof openFile>) {
        const file = await openFile(...given);
        const write = file.write.bind(file) as FileHandle['write'];
        file.write = (async (buffer: Uint8Array, at: number, length: number, position: number) => {
          left -= length;
          if (left < 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
          return write(buffer, at, length, position);
        }) as FileHandle['write'];
        return file;
      },
    };
    const server = await serve();
    const first = await load(server.url, noRetry, new PlainFolder(root, full));
    expect(first).toEqual({
      right: true,
      fromCache: 0,
      note: 'this file is not kept in the cache: there is no more room for it',
    });
    left = Infinity;
    const entry = await entryOf(server.url);
    expect(entry?.complete).toBe(false);
    expect(await load(server.url)).toEqual({ right: true, fromCache: entry!.have, note: '' });
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: size });

    const none = new PlainFolder(join(root, 'other'), { open: openFile, room: async () => 1000 });
    expect(await load(server.url, noRetry, none)).toMatchObject({
      right: true,
      note: expect.stringContaining('not enough room'),
    });
    expect(await none.keys()).toEqual([]);
    writeFileSync(join(root, 'file'), '');
    const broken = new PlainFolder(join(root, 'file'));
    expect(await load(server.url, noRetry, broken)).toMatchObject({
      right: true,
      note: expect.stringMatching(/cache/),
    });
  });

  it('a whole entry is hashed once, and again when its data has been written since', async () => {
    const { url } = await serve();
    await load(url);
    const digest = vi.spyOn(crypto.subtle, 'digest');
    const hashed = async (): Promise<number> => {
      digest.mockClear();
      expect(await load(url)).toMatchObject({ right: true });
      return digest.mock.calls.filter(([, part]) => part.byteLength > 1000).length;
    };
    try {
      expect(await hashed()).toBe(3);
      expect((await entryOf(url))?.checked).toBe(statSync(await pathOf(url, 'data')).mtimeMs);
      expect(await hashed()).toBe(0);
      await damage(await pathOf(url, 'data'), cachePart + 5);
      expect(await hashed()).toBeGreaterThanOrEqual(3);
      expect(await hashed()).toBe(3); // after the repair
      expect(await hashed()).toBe(0);
    } finally {
      digest.mockRestore();
    }
  });

  it('a damaged byte is found and fetched again; without a server it is an error and the entry goes', async () => {
    const server = await serve();
    await load(server.url);
    for (const at of [0, cachePart + 5, size - 1]) {
      await damage(await pathOf(server.url, 'data'), at);
      const start = Math.floor(at / cachePart) * cachePart;
      const asked = server.requests.length;
      const lost = Math.min(cachePart, size - start);
      expect((await load(server.url)).right).toBe(true);
      expect(server.requests.slice(asked)).toEqual(['HEAD', `GET bytes=${start}-${start + lost - 1}`]);
      expect((await load(server.url)).fromCache).toBe(size); // it was put right
    }
    await damage(await pathOf(server.url, 'hashes'), 40);
    expect((await load(server.url)).right).toBe(true);
    expect((await load(server.url)).fromCache).toBe(size);

    await damage(await pathOf(server.url, 'data'), cachePart + 5);
    await server.close();
    await expect(load(server.url)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/model one\.gguf in the cache was damaged and is deleted/),
    });
    expect(readdirSync(root)).toEqual([]);
  });

  it('damage in what was kept of a cut download', async () => {
    const server = await serve({ breakAfter: (n) => (n < 2 ? undefined : 1_000_000) });
    await expect(load(server.url)).rejects.toMatchObject({ code: 'network' });
    const { have } = (await entryOf(server.url))!;
    expect(have).toBeGreaterThan(2 * cachePart);
    server.faults = { etag: () => '"one"' };
    await damage(await pathOf(server.url, 'data'), 100); // a whole part: mended
    await damage(await pathOf(server.url, 'data'), have - 1); // the tail: taken off
    const { right, fromCache } = await load(server.url);
    expect(right).toBe(true);
    expect(fromCache).toBeLessThanOrEqual(cachePart);
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: size });
  });

  it('two loads at once: one writes, both get every byte', async () => {
    const server = await serve({ delay: 20 });
    const both = await Promise.all([load(server.url), load(server.url)]);
    expect(both.map(({ right }) => right)).toEqual([true, true]);
    expect(both.filter(({ note }) => note.includes('another load')).length).toBe(1);
    expect(await load(server.url)).toEqual({ right: true, fromCache: size, note: '' });
    const reading = await Promise.all([load(server.url), load(server.url)]);
    expect(reading.every(({ right, fromCache }) => right && fromCache === size)).toBe(true);
  });

  it('an abort leaves an entry that can be resumed, and nothing else', async () => {
    const server = await serve();
    const file = source(server.url);
    const abort = new AbortController();
    const all = Buffer.alloc(size);
    await readOn(file, all.subarray(0, 5_000_000), 0, abort.signal);
    abort.abort();
    await expect(file.read(5_000_000, 10, size, abort.signal)).rejects.toMatchObject({ code: 'aborted' });
    await file.close();
    expect(readdirSync(await pathOf(server.url, '.')).sort()).toEqual(['data', 'entry.json', 'hashes']);
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: 5_000_000 });
  });

  it('what a crash left behind: no entry.json, a torn one, a lock of a process that is gone', async () => {
    const server = await serve();
    await load(server.url);
    const info = await pathOf(server.url, 'entry.json');
    for (const text of ['', '{"version":1,"url"', '[]', 'null', '{"version":2}']) {
      writeFileSync(info, text);
      expect(await load(server.url)).toEqual({ right: true, fromCache: 0, note: '' });
    }
    rmSync(info);
    writeFileSync(await pathOf(server.url, 'lock'), `999999999 ${hostname()} ${'a'.repeat(32)}\n`);
    expect(await load(server.url)).toEqual({ right: true, fromCache: 0, note: '' });
    const whole = readFileSync(info, 'utf8');
    writeFileSync(info, whole.replace(/"have":\d+/, `"have":${size + 1}`));
    expect(await entryOf(server.url)).toBeNull();
    writeFileSync(info, whole.replace(/"have":\d+,"complete":true/, '"have":5000000,"complete":false'));
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: cachePart }); // no hash fits the tail
    expect(await load(server.url)).toMatchObject({ right: true, fromCache: size });
  });
});

describe('the hash that a hub tells', () => {
  const file = '/owner/repo/resolve/main/sub/model.gguf';
  const tree = '/api/models/owner/repo/tree/main/sub';
  const hub = (oid: string): Faults => ({
    json: (path) => (path === tree ? [{ path: 'sub/model.gguf', size, lfs: { oid, size } }] : undefined),
  });
  const loadHub = async (url: string): Promise<boolean> => {
    const from = source(url, noRetry, new PlainFolder(root), true);
    const all = Buffer.alloc(size);
    try {
      await readOn(from, all);
      return all.equals(bytes);
    } finally {
      await from.close();
    }
  };

  it('is compared and kept, also where the download was resumed', async () => {
    const server = await serve({ ...hub(sha), breakAfter: () => 3_000_000 });
    const url = server.origin + file;
    await expect(loadHub(url)).rejects.toMatchObject({ code: 'network' });
    server.faults = { ...hub(sha), etag: () => '"one"' };
    expect(await loadHub(url)).toBe(true);
    expect(await entryOf(url)).toMatchObject({ sha256: sha, complete: true });
  });

  it('that differs is an error, and the entry goes', async () => {
    const server = await serve(hub('0'.repeat(64)));
    await expect(loadHub(server.origin + file)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('SHA-256'),
    });
    expect(readdirSync(root)).toEqual([]);
  });

  it('is done without where the list cannot be had', async () => {
    const server = await serve();
    expect(await loadHub(server.origin + file)).toBe(true);
    expect(await entryOf(server.origin + file)).toMatchObject({ sha256: null, complete: true });
  });

  it('a commit never changes: the server is not asked again', async () => {
    const server = await serve();
    const url = `${server.origin}/o/r/resolve/${'a'.repeat(40)}/model.gguf`;
    expect(await loadHub(url)).toBe(true);
    const asked = server.requests.length;
    expect(await loadHub(url)).toBe(true);
    expect(server.requests).toHaveLength(asked);
  });
});

describe('ModelCache', () => {
  it('lists, sizes, pins and deletes', async () => {
    const cache = new ModelCache(
      async () => new PlainFolder(root),
      (name) => name,
    );
    expect(await cache.list()).toEqual([]);
    expect(await cache.size()).toBe(0);
    const [one, two] = [await serve(), await serve({ breakAfter: () => 3_000_000 })];
    await load(one.url);
    await load(two.url).catch(() => {});
    const list = await cache.list();
    expect(list.map(({ url }) => url)).toEqual([two.url, one.url]);
    expect(list[1]).toMatchObject({ name: 'model one.gguf', bytes: size, size, complete: true, pinned: false });
    expect(await cache.size()).toBe(size + list[0]!.bytes);
    expect(await cache.pin(one.url)).toBe(true);
    expect((await entryOf(one.url))!.pinned).toBe(true);
    await load(one.url);
    expect((await entryOf(one.url))!.pinned).toBe(true);
    expect(await cache.pin('http://nowhere/')).toBe(false);
    expect(await cache.delete(two.url)).toBe(true);
    expect(await cache.delete(two.url)).toBe(false);

    const file = source(two.url);
    two.faults = { etag: () => '"one"' };
    await readOn(file, Buffer.alloc(cachePart + 10));
    const lock = await pathOf(two.url, 'lock'); // parts are written behind the reader
    await expect.poll(() => existsSync(lock)).toBe(true);
    await expect(cache.delete(two.url)).rejects.toMatchObject({ code: 'cache' });
    await expect(cache.clear()).rejects.toMatchObject({ code: 'cache' });
    await file.close();
    await cache.clear();
    expect(await cache.list()).toMatchObject([{ url: one.url, pinned: true }]);
    await cache.pin(one.url, false);
    await cache.clear();
    expect(readdirSync(root)).toEqual([]);
    const odd = `${one.url.slice(0, one.url.lastIndexOf('/'))}/100%.gguf`;
    const none = { etag: null, size: 0, sha256: null, have: 0, complete: true, pinned: false, used: 1 };
    mkdirSync(join(root, await keyOf(odd)));
    await writeEntry(new PlainFolder(root), await keyOf(odd), { version: 1, url: odd, ...none });
    expect(await cache.delete(odd.slice(0, odd.lastIndexOf('/') + 1))).toBe(true);
    mkdirSync(join(root, 'not an entry'));
    expect(await cache.list()).toEqual([]);
    expect(statSync(join(root, 'not an entry')).isDirectory()).toBe(true);
  });
});
