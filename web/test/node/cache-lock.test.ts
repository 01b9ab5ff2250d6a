// One cache folder, the package and the command line: only one of them writes an entry. The protocol is in
// cli/cache_lock.h; tests/cli/cache_lock_test.cpp has the command line alone.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cachePart, type EntryInfo, keyOf, parseInfo, writeEntry } from '../../src/runtime/cache.js';
import { PlainFolder } from '../../src/runtime/cache-folder.js';
import { type EntryLock, takeLock } from '../../src/runtime/cache-lock.js';
import { sparseTinyModel } from '../support/tiny-gguf.js';

const pronk = fileURLToPath(new URL('../../../build/native/pronk', import.meta.url));
const missing = existsSync(pronk) ? '' : 'build/native/pronk is not built';
const [model] = sparseTinyModel({ spread: 1 << 20 }); // several parts of the cache
const deadLine = (token: string): string => `999999999 ${hostname()} ${token.repeat(32)}\n`;
const often = { interval: 10 };

let root = '';
let children: ChildProcess[] = [];
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'pronk-lock-'))));
afterEach(async () => {
  for (const child of children) await killed(child);
  children = [];
  rmSync(root, { recursive: true, force: true });
});

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Serves the model up to byte `stop` of the file; the rest of each answer waits for release(). */
async function stallingServer(stop: number) {
  const waiting: (() => void)[] = [];
  let open = false;
  const send = (response: ServerResponse, start: number, end: number): void => {
    response.writeHead(206, {
      ETag: '"one"',
      'Content-Length': end - start,
      'Content-Range': `bytes ${start}-${end - 1}/${model!.length}`,
    });
    const first = Math.max(start, Math.min(end, open ? end : stop));
    response.flushHeaders();
    response.write(model!.subarray(start, first));
    const rest = (): void => void response.end(model!.subarray(first, end));
    if (open) rest();
    else waiting.push(rest);
  };
  const state = { asked: 0 };
  const server = createServer((request, response) => {
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? 'bytes=0-')!;
    const end = match[2] ? Math.min(Number(match[2]) + 1, model!.length) : model!.length;
    state.asked++;
    if (stop >= 0 || open) send(response, Number(match[1]), end);
    else waiting.push(() => send(response, Number(match[1]), end)); // not even a head
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const release = (): void => {
    open = true;
    for (const go of waiting.splice(0)) go();
  };
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
  return Object.assign(state, { url, release, close });
}

function command(...given: string[]): ChildProcess {
  const child = spawn(pronk, [...given, '--cache', root], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  return child;
}

const generate = (url: string): ChildProcess =>
  command('generate', '-m', url, '--backend', 'cpu', '-p', 'a', '-n', '1');

async function finished(child: ChildProcess): Promise<{ status: number | null; err: string }> {
  let err = '';
  child.stderr!.on('data', (part) => (err += part));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, err };
}

const holder = (entry: string): number => Number(readFileSync(join(entry, 'lock'), 'utf8').split(' ')[0]);

describe('a cache entry', () => {
  it('of the package is refused to the command line, until it is given back', async (context) => {
    if (missing) return context.skip(missing);
    const url = 'http://127.0.0.1:9/model.gguf';
    const folder = new PlainFolder(root);
    const key = await keyOf(url);
    const files = await folder.open(key, true);
    const info: EntryInfo = {
      ...{ version: 1, url, etag: null, size: 1, sha256: null, have: 0, complete: false, pinned: false, used: 1 },
    };
    await writeEntry(folder, key, info);
    const refused = await finished(command('cache', 'delete', url));
    expect(refused).toEqual({ status: 1, err: `pronk: '${url}' is in use\n` });
    await files!.close();
    expect(await finished(command('cache', 'delete', url))).toEqual({ status: 0, err: '' });
    expect(readdirSync(root)).toEqual([]);
  });

  it('of the command line is refused to the package, until it dies; what it had flushed is there', async (context) => {
    if (missing) return context.skip(missing);
    const server = await stallingServer(3 * cachePart + (3 << 20));
    try {
      const child = generate(server.url);
      const folder = new PlainFolder(root);
      const key = await keyOf(server.url);
      const have = async (): Promise<number> => parseInfo(await folder.readInfo(key))?.have ?? 0;
      await expect.poll(have, often).toBe(3 * cachePart);
      expect(holder(join(root, key))).toBe(child.pid);
      expect(await folder.open(key, true)).toBeNull();
      expect(await folder.remove(key)).toBe(false);
      await killed(child);
      const files = await folder.open(key, true);
      expect(files).not.toBeNull();
      const kept = Buffer.alloc(3 * cachePart);
      expect(await files!.data.read(0, kept)).toBe(kept.length);
      expect(kept.equals(model!.subarray(0, kept.length))).toBe(true);
      await files!.close();
    } finally {
      server.close();
    }
  });

  it('whose writer died is taken by exactly one of the package and the command line', async (context) => {
    if (missing) return context.skip(missing);
    for (let round = 0; round < 4; round++) {
      const server = await stallingServer(-1);
      const key = await keyOf(server.url);
      const entry = join(root, key);
      mkdirSync(entry);
      writeFileSync(join(entry, 'lock'), deadLine('a'));
      if (round % 2) writeFileSync(join(entry, `lock.${'a'.repeat(32)}`), deadLine('b')); // who claimed it died too
      const commands = [1, 2, 3].map(() => generate(server.url));
      const ends = commands.map(finished);
      const opened = await Promise.all([1, 2, 3].map(() => new PlainFolder(root).open(key, true)));
      await expect.poll(() => server.asked, often).toBe(3); // they have, or have not, the lock by now
      const ours = opened.filter((files) => files !== null);
      const winner = holder(entry);
      expect([process.pid, ...commands.map(({ pid }) => pid)]).toContain(winner);
      expect(ours.length).toBe(winner === process.pid ? 1 : 0);
      server.release();
      expect((await Promise.all(ends)).map(({ status }) => status)).toEqual([0, 0, 0]);
      // Of the commands only the holder writes.
      expect(existsSync(join(entry, 'entry.json'))).toBe(winner !== process.pid);
      await ours[0]?.close();
      expect(readdirSync(entry).filter((name) => name.startsWith('lock'))).toEqual([]);
      server.close();
    }
  });

  it('is taken by one of many in the package, and never from a holder that is merely slow', async () => {
    for (let round = 0; round < 50; round++) {
      writeFileSync(join(root, 'lock'), deadLine('a'));
      const locks = await Promise.all(Array.from({ length: 8 }, () => takeLock(root)));
      const taken = locks.filter((lock): lock is EntryLock => lock !== null);
      expect(taken.length).toBe(1);
      expect(await taken[0]!.held()).toBe(true);
      await taken[0]!.release();
      expect(readdirSync(root)).toEqual([]);
    }
    const slow = await takeLock(root, 10);
    const longAgo = new Date(Date.now() - 3_600_000);
    utimesSync(join(root, 'lock'), longAgo, longAgo);
    const age = async (): Promise<number> => Date.now() - (await stat(join(root, 'lock'))).mtimeMs;
    await expect.poll(age, often).toBeLessThan(60_000);
    expect(await takeLock(root)).toBeNull();
    await slow!.release();
    for (const line of ['7', `5 elsewhere ${'a'.repeat(32)}`]) {
      writeFileSync(join(root, 'lock'), line);
      expect(await takeLock(root)).toBeNull();
      utimesSync(join(root, 'lock'), longAgo, longAgo);
      await (await takeLock(root))!.release();
    }
  });

  it('that was taken over is written no more', async () => {
    const url = 'http://127.0.0.1:9/model.gguf';
    const folder = new PlainFolder(root);
    const key = await keyOf(url);
    const files = await folder.open(key, true);
    rmSync(join(root, key, 'lock'));
    writeFileSync(join(root, key, 'lock'), deadLine('a'));
    await expect(folder.writeInfo(key, '{}')).rejects.toThrow('another program has taken the entry over');
    await files!.close();
    expect(existsSync(join(root, key, 'lock'))).toBe(true);
  });
});
