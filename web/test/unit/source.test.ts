import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { UrlSource } from '../../src/runtime/http-source.js';
import {
  BlobSource,
  type ByteSource,
  fileName,
  MemorySource,
  splitIndex,
  splitSiblings,
} from '../../src/runtime/source.js';
import { PathSource } from '../../src/runtime/source-node.js';
import { type Faults, type FileServer, serveBytes } from '../support/file-server.js';

const size = 300_000;
const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8) * 13) & 255);

const servers: FileServer[] = [];
const sources: ByteSource[] = [];
afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.close()));
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function open(faults: Faults = {}): Promise<[UrlSource, FileServer]> {
  const server = await serveBytes(bytes, faults);
  const source = new UrlSource(server.url, { delays: [1, 1, 1] });
  servers.push(server);
  sources.push(source);
  return [source, server];
}

async function readAll(source: ByteSource, from: number, to: number): Promise<Uint8Array> {
  const all = new Uint8Array(to - from);
  let filled = 0;
  while (filled < all.length) {
    const part = await source.read(from + filled, all.length - filled, to);
    if (part.length === 0) break;
    all.set(part, filled);
    filled += part.length;
  }
  return all.subarray(0, filled);
}

// expect().toEqual() takes seconds for as many numbers.
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe('UrlSource', () => {
  it('makes one request for what follows on, another for a jump', async () => {
    const [source, server] = await open();
    expect(await readAll(source, 0, 1000)).toEqual(bytes.subarray(0, 1000));
    expect(source.size).toBe(size);
    expect(source.name).toBe('model one.gguf');
    let at = 5000;
    while (at < 60_000) {
      const part = await source.read(at, 777, 60_000);
      expect(part).toEqual(bytes.subarray(at, at + part.length));
      at += part.length;
    }
    expect(server.requests).toEqual(['GET bytes=0-999', 'GET bytes=5000-59999']);
    expect(await source.read(size, 10, size + 10)).toHaveLength(0);
  });

  it('reads one body from start to end where there are no ranges', async () => {
    const [source, server] = await open({ ranges: false });
    expect(await readAll(source, 0, 1000)).toEqual(bytes.subarray(0, 1000));
    expect(source.size).toBe(size);
    expect(await readAll(source, 1000, 2000)).toEqual(bytes.subarray(1000, 2000));
    expect(same(await readAll(source, 100_000, size), bytes.subarray(100_000))).toBe(true);
    expect(server.requests).toHaveLength(1);
    expect(await readAll(source, 10, 20)).toEqual(bytes.subarray(10, 20)); // back: read again
    expect(server.requests).toHaveLength(2);
  });

  it('takes up a broken connection where it broke', async () => {
    const [source, server] = await open({ breakAfter: (n) => (n < 2 ? 70_000 : undefined) });
    expect(same(await readAll(source, 0, size), bytes)).toBe(true);
    expect(server.requests).toEqual(['GET bytes=0-299999', 'GET bytes=70000-299999', 'GET bytes=140000-299999']);
  });

  it('gives up after the last delay, and says where', async () => {
    const [source, server] = await open({ breakAfter: (n) => (n > 0 ? 0 : 50_000) });
    await expect(readAll(source, 0, size)).rejects.toMatchObject({ code: 'network' });
    expect(server.requests).toHaveLength(4); // the first, and three more tries
  });

  it('notices a body that ends too early', async () => {
    const [known] = await open({ ranges: false, breakAfter: () => 5000 });
    await expect(readAll(known, 0, size)).rejects.toMatchObject({ code: 'network' });
    const [unknown] = await open({ ranges: false, cut: 1000 });
    expect(await readAll(unknown, 0, size)).toHaveLength(size - 1000);
    expect(unknown.size).toBe(size - 1000);
  });

  it('learns the size by HEAD where Content-Range is hidden', async () => {
    const [source, server] = await open({ hideContentRange: true });
    await readAll(source, 0, 10);
    expect(source.size).toBe(size);
    expect(server.requests[1]).toBe('HEAD');
  });

  it('tries again after 503, not after 404', async () => {
    const [busy, server] = await open({ status: (n) => (n === 1 ? 503 : undefined) });
    await readAll(busy, 0, 10);
    expect(await readAll(busy, 500, 600)).toEqual(bytes.subarray(500, 600));
    expect(server.requests).toHaveLength(3);
    const [missing, other] = await open({ status: () => 404 });
    await expect(missing.read(0, 10, 10)).rejects.toMatchObject({
      code: 'network',
      message: 'model one.gguf: the server answered 404 Not Found',
    });
    expect(other.requests).toHaveLength(1);
  });

  it('refuses a file that changes, and a wrong range', async () => {
    const [changing] = await open({ etag: (n) => `"${n}"` });
    await readAll(changing, 0, 10);
    await expect(changing.read(500, 10, 510)).rejects.toMatchObject({ message: expect.stringContaining('changed') });
    const [wrong] = await open({ wrongStart: true });
    await expect(wrong.read(5, 10, 15)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('byte 6'),
    });
  });

  it('ends when aborted and when nobody answers', async () => {
    const [source] = await open();
    const abort = new AbortController();
    const reading = source.read(0, 10, 10, abort.signal);
    abort.abort();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    await servers[0]!.close();
    const gone = new UrlSource(servers[0]!.url, { delays: [1] });
    await expect(gone.read(0, 10, 10)).rejects.toMatchObject({ code: 'network' });
  });
});

describe('other sources', () => {
  it('read memory, blobs and paths alike', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pronk-'));
    try {
      const path = join(folder, 'a.gguf');
      await writeFile(path, bytes);
      const file = new PathSource(path);
      for (const source of [new MemorySource(bytes), new BlobSource(new File([bytes], 'a.gguf')), file]) {
        sources.push(source);
        expect(same(await readAll(source, 123, 250_000), bytes.subarray(123, 250_000))).toBe(true);
        expect(source.size).toBe(size);
        expect(await source.read(size, 10, size + 10)).toHaveLength(0);
      }
      expect(file.name).toBe('a.gguf');
    } finally {
      await rm(folder, { recursive: true });
    }
    const missing = new PathSource('/no/such/file.gguf');
    await expect(missing.read(0, 1, 1)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('ENOENT'),
    });
  });
});

describe('split names', () => {
  it('finds siblings of paths and URLs', () => {
    expect(splitSiblings('a/m-00002-of-00003.gguf')).toEqual([
      'a/m-00001-of-00003.gguf',
      'a/m-00002-of-00003.gguf',
      'a/m-00003-of-00003.gguf',
    ]);
    expect(splitSiblings('https://h/m-00001-of-00002.gguf?download=true')[1]).toBe(
      'https://h/m-00002-of-00002.gguf?download=true',
    );
    expect(splitSiblings('https://h/m.gguf?x=-00001-of-00002.gguf')).toHaveLength(1);
    expect(splitSiblings('m-00000-of-00000.gguf')).toEqual(['m-00000-of-00000.gguf']);
  });

  it('knows a file’s place', () => {
    expect(splitIndex('m-00003-of-00007.gguf')).toBe(2);
    expect(splitIndex('m.gguf')).toBe(-1);
    expect(fileName('https://h/a/b%20c.gguf?x#y')).toBe('b c.gguf');
    expect(fileName('C:\\models\\m.gguf')).toBe('m.gguf');
  });
});
