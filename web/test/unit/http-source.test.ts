// UrlSource with several requests in flight, and the faults of networks and servers.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type HttpOptions, UrlSource } from '../../src/runtime/http-source.js';
import type { ByteSource } from '../../src/runtime/source.js';
import { type Content, type Faults, type FileServer, serveBytes } from '../support/file-server.js';
import { randomBytes, randomNumbers } from '../support/random.js';
import { withResolvers } from '../support/with-resolvers.js';

const size = 3_000_001;
const bytes = randomBytes(size, 7);
const small: HttpOptions = { delays: [1, 1, 1], partBytes: 256 << 10 };

const servers: FileServer[] = [];
const sources: ByteSource[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(sources.splice(0).map((source) => source.close()));
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function open(faults: Faults = {}, options = small, content: Content = bytes): Promise<[UrlSource, FileServer]> {
  const server = await serveBytes(content, faults);
  const source = new UrlSource(server.url, options);
  servers.push(server);
  sources.push(source);
  return [source, server];
}

async function readAll(source: ByteSource, from = 0, to = size, signal?: AbortSignal): Promise<Buffer> {
  const all = Buffer.alloc(to - from);
  let filled = 0;
  while (filled < all.length) {
    const part = await source.read(from + filled, all.length - filled, to, signal);
    if (part.length === 0) break;
    all.set(part, filled);
    filled += part.length;
  }
  return all.subarray(0, filled);
}

const never = new Promise<void>(() => {});

/** Until what was under way has had its time: some requests to the same server, of which it takes no notice. */
async function idle(server: FileServer): Promise<void> {
  const { json } = server.faults;
  server.faults.json = (path) => (path === '/idle' ? {} : json?.(path));
  for (let i = 0; i < 5; i++) await (await fetch(`${server.origin}/idle`)).text();
}

const isAll = (read: Buffer): boolean => read.equals(bytes);

describe('one long request', () => {
  const long: HttpOptions = { ...small, connections: 1, partBytes: 1 << 20, heldBytes: 100_000 };

  it('gives all bytes, by reads of any length and over gaps', async () => {
    const [source, server] = await open({}, long);
    const next = randomNumbers(3);
    for (let at = 0; at < size; ) {
      const part = await source.read(at, 1 + Math.floor(next() * 150_000), size);
      expect(Buffer.compare(part, bytes.subarray(at, at + part.length))).toBe(0);
      at += part.length + Math.floor(next() * 2000);
    }
    expect(server.requests).toHaveLength(3);
    expect(server.sent).toBeLessThanOrEqual(size);
  });

  it('goes on after cuts where it stood', async () => {
    const [source] = await open({ breakAfter: (n) => (n < 20 ? 70_000 + 10_000 * n : undefined), breakPause: 0 }, long);
    expect(isAll(await readAll(source))).toBe(true);
  });

  it('waits for a slow reader, and ends when the reading is aborted', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const [source, server] = await open({}, { ...long, patience: 2000 });
    const abort = new AbortController();
    await source.read(0, 1000, size, abort.signal);
    await expect.poll(() => vi.getTimerCount()).toBe(0); // as much is held as may be: nothing is expected of the server
    await vi.advanceTimersByTimeAsync(2500); // longer than a server may be silent
    vi.useRealTimers();
    const more = await readAll(source, 1000, 500_000, abort.signal); // more than is held
    expect(Buffer.compare(more, bytes.subarray(1000, 500_000))).toBe(0);
    expect(server.requests).toHaveLength(1);
    abort.abort();
    await expect(source.read(500_000, 10, size, abort.signal)).rejects.toMatchObject({ code: 'aborted' });
    await expect.poll(() => server.open).toBe(0);
  });
});

describe('several requests at once', () => {
  it('give the bytes in order, four in flight and no more', async () => {
    const gate = withResolvers();
    const [source, server] = await open({ hold: (n) => (n > 0 && n < 5 ? gate.promise : undefined) });
    const reading = readAll(source);
    await expect.poll(() => server.requests).toHaveLength(5); // the first alone: ranges were not known yet
    await idle(server);
    expect(server.requests).toHaveLength(5);
    gate.resolve();
    expect(isAll(await reading)).toBe(true);
    expect(server.requests).toHaveLength(12);
    expect(server.sent).toBe(size);
  });

  it('go on when what is on its way is passed over', async () => {
    const [source, server] = await open();
    expect(await readAll(source, 0, 300_000)).toEqual(Buffer.from(bytes.subarray(0, 300_000)));
    for (let at = 300_000; at < size; at += 300_000) {
      const from = Math.min(at + 199_999, size - 1);
      const part = await source.read(from, 1, size); // of each 300,000 one byte
      expect(part).toEqual(bytes.subarray(from, from + 1));
    }
    expect(server.sent).toBeLessThanOrEqual(size);
  });

  it('hold no more than their parts, however slow the reader is', async () => {
    const [source, server] = await open();
    expect(await source.read(0, 10, size)).toHaveLength(10);
    await expect.poll(() => server.sent).toBeGreaterThanOrEqual(4 * (256 << 10));
    await idle(server);
    expect(server.sent).toBe(4 * (256 << 10));
  });

  it('all end when the reading is aborted', async () => {
    const [source, server] = await open({ hold: (n) => (n > 0 ? never : undefined) });
    const abort = new AbortController();
    const reading = readAll(source, 0, size, abort.signal);
    reading.catch(() => {});
    await expect.poll(() => server.requests.length).toBeGreaterThanOrEqual(3);
    abort.abort();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
    await idle(server);
    expect(server.requests.length).toBeLessThanOrEqual(5); // the first, and the four that were on their way
  });

  it('read on both sides of 4 GiB', async () => {
    const far = 5 * 2 ** 30;
    const at = (offset: number): number => (Math.floor(offset / 4096) * 7 + offset) % 251;
    const content: Content = {
      length: far,
      subarray: (start, end) => Uint8Array.from({ length: end - start }, (_, i) => at(start + i)),
    };
    const [source] = await open({}, { delays: [] }, content);
    for (const from of [0, 2 ** 31 - 50_000, 2 ** 32 - 50_000, far - 60_000]) {
      const read = await readAll(source, from, Math.min(far, from + 100_000));
      expect(read.equals(Buffer.from(content.subarray(from, Math.min(far, from + 100_000))))).toBe(true);
    }
    expect(source.size).toBe(far);
    expect(await source.read(far, 10, far + 10)).toHaveLength(0);
  });
});

describe('a redirect', () => {
  it('is followed once, and again when what it led to has expired', async () => {
    const [, file] = await open();
    let asked = 0;
    let good = 'a';
    file.faults = { status: () => (file.target.endsWith(good) ? undefined : 403) };
    const front = createServer((_, response) => {
      asked++;
      response.writeHead(302, { Location: `${file.origin}/signed?${good}` }).end();
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    const source = new UrlSource(`http://127.0.0.1:${(front.address() as AddressInfo).port}/m.gguf`, small);
    sources.push(source);
    try {
      expect((await readAll(source, 0, 2_000_000)).equals(bytes.subarray(0, 2_000_000))).toBe(true);
      expect(asked).toBe(1);
      good = 'b';
      expect((await readAll(source, 2_000_000)).equals(bytes.subarray(2_000_000))).toBe(true);
      expect(asked).toBeGreaterThan(1);
      expect(asked).toBeLessThan(7);
    } finally {
      front.closeAllConnections();
      front.close();
    }
  });
});

describe('faults', () => {
  it('50 cuts at random bytes lose nothing', async () => {
    const random = randomNumbers(1);
    const cuts = Array.from({ length: 50 }, () => Math.floor(random() * 60_000));
    const [source, server] = await open({ breakAfter: (n) => cuts[n] });
    expect(isAll(await readAll(source))).toBe(true);
    expect(server.requests.length).toBeGreaterThanOrEqual(50);
  });

  it('a server without ranges is read in one body, again from its start after a cut', async () => {
    const [whole, server] = await open({ ranges: false });
    expect(isAll(await readAll(whole))).toBe(true);
    expect(server.requests).toHaveLength(1);
    const [cut, other] = await open({ ranges: false, breakAfter: (n) => (n < 3 ? 500_000 * (n + 1) : undefined) });
    expect(isAll(await readAll(cut))).toBe(true);
    expect(other.requests).toHaveLength(4);
  });

  it('429 and 503 pass, on the first request and later, with fewer requests afterwards', async () => {
    for (const status of [429, 503]) {
      const [source, server] = await open({ status: (n) => (n === 0 || n === 4 ? status : undefined), delay: 5 });
      expect(isAll(await readAll(source))).toBe(true);
      expect(server.requests).toHaveLength(14);
    }
  });

  it('429 for ever is an error, and so is one that asks for too long a wait', async () => {
    const [always, server] = await open({ status: () => 429 });
    await expect(readAll(always)).rejects.toMatchObject({
      code: 'network',
      message: 'model one.gguf: the server answered 429 Too Many Requests',
    });
    expect(server.requests).toHaveLength(4);
    const [later, other] = await open({ status: () => 429, retryAfter: '3600' });
    await expect(readAll(later)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('wait 3600 s'),
    });
    expect(other.requests).toHaveLength(1);
  });

  it('Retry-After is obeyed', async () => {
    const [source] = await open({ status: (n) => (n === 0 ? 503 : undefined), retryAfter: '1' });
    const start = performance.now();
    expect(await source.read(0, 10, 10)).toHaveLength(10);
    expect(performance.now() - start).toBeGreaterThanOrEqual(990);
    const date = new Date(Date.now() + 7_200_000).toUTCString();
    const [never] = await open({ status: () => 503, retryAfter: date });
    await expect(never.read(0, 10, 10)).rejects.toMatchObject({ message: expect.stringMatching(/wait 7\d\d\d s/) });
  });

  it('a wrong length and a changed file are errors that say so', async () => {
    const [shorter, server] = await open({});
    await readAll(shorter, 0, 1000);
    server.content = bytes.subarray(0, size - 5);
    await expect(readAll(shorter, 5000, 6000)).rejects.toMatchObject({
      code: 'network',
      message: `model one.gguf: the file changed on the server while it was read: it has ${size - 5} bytes, not ${size}`,
    });
    const [changed] = await open({ etag: (n) => (n < 5 ? '"a"' : '"b"') });
    await expect(readAll(changed)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('changed'),
    });
    expect(changed.changed).toBe(true);
    const [older, other] = await open({ lastModified: 'Sat, 01 Nov 2025 00:00:00 GMT' });
    await readAll(older, 0, 1000);
    other.faults = { lastModified: 'Sun, 02 Nov 2025 00:00:00 GMT' };
    await expect(readAll(older, 5000, 6000)).rejects.toMatchObject({ message: expect.stringContaining('changed') });
  });

  it('a connection that falls silent is taken up again', async () => {
    const [source, server] = await open({ hold: (n) => (n === 0 ? never : undefined) }, { ...small, patience: 400 });
    expect((await readAll(source, 0, 1000)).equals(bytes.subarray(0, 1000))).toBe(true);
    expect(server.requests.length).toBeGreaterThan(1);
    const [silent] = await open({ hold: () => never }, { ...small, patience: 30 });
    await expect(silent.read(0, 1, 1)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringContaining('nothing'),
    });
  });
});

describe('a server that was never heard', () => {
  /** A fetch() that fails as browsers do when the server is down or CORS forbids the answer, from its n-th call on. */
  function refusing(from: number, answer: typeof fetch, error = new TypeError('Failed to fetch')) {
    let calls = 0;
    const fetched: typeof fetch = async (...request) => {
      if (++calls >= from) throw error;
      return answer(...request);
    };
    return { fetched, calls: () => calls };
  }
  const nothing: typeof fetch = () => Promise.reject(new Error('not reached'));

  it('is asked twice and no more, and the error says what it may be', async () => {
    const { fetched, calls } = refusing(1, nothing);
    const source = new UrlSource('https://example.org/m.gguf', { ...small, delays: [1, 60_000], fetch: fetched });
    await expect(source.read(0, 10, 10)).rejects.toMatchObject({
      code: 'network',
      message: expect.stringMatching(/^m\.gguf: Failed to fetch: .*cannot be reached.*CORS.*redirects/),
    });
    expect(calls()).toBe(2);
  });

  it("is named with Node's own reason where there is one", async () => {
    const why = new TypeError('fetch failed', { cause: new Error('redirect count exceeded') });
    const { fetched, calls } = refusing(1, nothing, why);
    const source = new UrlSource('https://example.org/m.gguf', { ...small, delays: [1, 60_000], fetch: fetched });
    const message = 'm.gguf: fetch failed (redirect count exceeded)';
    await expect(source.read(0, 10, 10)).rejects.toMatchObject({ code: 'network', message });
    expect(calls()).toBe(2);
  });

  it('is not one that answered before: that is tried as often as ever', async () => {
    const server = await serveBytes(bytes, {});
    servers.push(server);
    const { fetched, calls } = refusing(2, fetch);
    const source = new UrlSource(server.url, { ...small, connections: 1, fetch: fetched });
    sources.push(source);
    await expect(readAll(source)).rejects.toMatchObject({
      code: 'network',
      message: expect.not.stringContaining('CORS'),
    });
    expect(calls()).toBe(1 + 1 + small.delays!.length);
  });
});
