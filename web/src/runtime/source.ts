// Model files as ranges of bytes, read in order: from memory, a Blob or a URL. Node's files are in source-node.ts.
import { isAbort, messageOf, PronkError, throwIfAborted } from './errors.js';

export interface ByteSource {
  /** File name where there is one, for errors and the order of shards. */
  readonly name: string;
  /** Whole size in bytes; -1: not known, at least not before the first read(). */
  readonly size: number;
  /**
   * Bytes from `offset` on: at least one unless the file ends at `offset`, at most `most`. They are good until the next
   * call. `end` is how far the caller means to read in calls that follow; a request is made for that much.
   */
  read(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

const partBytes = 4 << 20;

export class MemorySource implements ByteSource {
  readonly name = '';
  constructor(private readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.length;
  }

  async read(offset: number, most: number, _end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    return this.bytes.subarray(offset, offset + most);
  }

  async close(): Promise<void> {}
}

export class BlobSource implements ByteSource {
  readonly name: string;
  constructor(private readonly blob: Blob) {
    this.name = 'name' in blob && typeof blob.name === 'string' ? blob.name : '';
  }

  get size(): number {
    return this.blob.size;
  }

  async read(offset: number, most: number, _end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    try {
      const part = await this.blob.slice(offset, offset + Math.min(most, partBytes)).arrayBuffer();
      throwIfAborted(signal);
      return new Uint8Array(part);
    } catch (error) {
      if (error instanceof PronkError) throw error;
      throw new PronkError('network', `${this.name || 'the file'} cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }

  async close(): Promise<void> {}
}

interface OpenBody {
  reader: ReadableStreamDefaultReader<Uint8Array>;
  position: number; // of the next byte that the reader gives
  asked: number; // the body holds nothing from here on
  end: number; // where the body must end; -1: not told
  rest: Uint8Array; // read, not yet given out; it lies before position
}

// A failure that another request may mend.
class Interrupted extends Error {}

const retryDelays = [250, 1000, 4000]; // milliseconds

/**
 * A file over HTTP. Where the server answers Range requests each read() that does not follow the one before asks for its
 * range, and a broken connection is taken up again; where it does not, one body is read from its start to its end.
 */
export class UrlSource implements ByteSource {
  readonly name: string;
  size = -1;
  private ranges: boolean | null = null; // null: not known yet
  private etag: string | null = null;
  private body: OpenBody | null = null;

  constructor(
    private readonly url: string,
    private readonly fetchBytes: typeof fetch = (input, init) => fetch(input, init),
    private readonly delays: readonly number[] = retryDelays,
  ) {
    this.name = fileName(url);
  }

  async read(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    for (let attempt = 0; ; attempt++) {
      throwIfAborted(signal);
      try {
        return await this.readOnce(offset, most, end, signal);
      } catch (error) {
        await this.close();
        if (signal?.aborted || isAbort(error)) throw new PronkError('aborted', 'aborted', { cause: error });
        if (!(error instanceof Interrupted)) throw error;
        const delay = this.delays[attempt];
        if (delay === undefined || this.ranges !== true) {
          throw new PronkError('network', `${this.name}: ${error.message}`, { cause: error });
        }
        await pause(delay, signal);
      }
    }
  }

  async close(): Promise<void> {
    const body = this.body;
    this.body = null;
    await body?.reader.cancel().catch(() => {});
  }

  private async readOnce(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.size >= 0 && offset >= this.size) return new Uint8Array(0);
    const body = await this.bodyAt(offset, Math.max(end, offset + most), signal);
    while (body.rest.length === 0) {
      const { done, value } = await interrupted(body.reader.read());
      if (done) return this.finish(body);
      body.position += value.length;
      // Bytes that lie before `offset`: a body without ranges is skipped over.
      body.rest = value.subarray(Math.max(0, Math.min(value.length, offset - (body.position - value.length))));
    }
    const given = body.rest.subarray(0, most);
    body.rest = body.rest.subarray(given.length);
    return given;
  }

  // The open body when it goes on at `offset`, or can be skipped to it; else a new one.
  private async bodyAt(offset: number, end: number, signal?: AbortSignal): Promise<OpenBody> {
    const open = this.body;
    if (open) {
      const next = open.position - open.rest.length;
      const inside = offset < open.asked;
      if (next === offset && inside) return open;
      if (this.ranges === false && next < offset) {
        open.rest = open.rest.subarray(Math.min(open.rest.length, offset - next));
        return open;
      }
      await this.close();
    }
    return (this.body = await this.request(offset, end, signal));
  }

  private finish(body: OpenBody): Uint8Array {
    if (body.end >= 0 && body.position < body.end) {
      throw new Interrupted(`the answer ended at byte ${body.position} of ${body.end}`);
    }
    if (this.size < 0 && body.position < body.asked) this.size = body.position;
    return new Uint8Array(0);
  }

  private async request(offset: number, end: number, signal?: AbortSignal): Promise<OpenBody> {
    const headers: Record<string, string> = this.ranges === false ? {} : { Range: `bytes=${offset}-${end - 1}` };
    const response = await interrupted(this.fetchBytes(this.url, { headers, signal: signal ?? null }));
    if (response.status >= 500 || response.status === 429) {
      void response.body?.cancel().catch(() => {});
      throw new Interrupted(httpError(response));
    }
    if (!response.ok || !response.body) {
      void response.body?.cancel().catch(() => {});
      throw new PronkError('network', `${this.name}: ${httpError(response)}`);
    }
    this.sameFile(response);
    const reader = response.body.getReader();
    const none = new Uint8Array(0);
    if (response.status !== 206) {
      this.ranges = false;
      // The length of an encoded body is not that of the file.
      if (this.size < 0 && !response.headers.get('content-encoding')) this.size = lengthOf(response);
      return { reader, position: 0, asked: Infinity, end: this.size, rest: none };
    }
    this.ranges = true;
    await this.learnSize(response, signal);
    const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (start !== undefined && Number(start) !== offset) {
      throw new PronkError('network', `${this.name}: asked for byte ${offset}, the server answered from byte ${start}`);
    }
    return { reader, position: offset, asked: end, end: this.size < 0 ? -1 : Math.min(end, this.size), rest: none };
  }

  private async learnSize(response: Response, signal?: AbortSignal): Promise<void> {
    if (this.size >= 0) return;
    const total = /\/(\d+)\s*$/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (total) {
      this.size = Number(total);
      return;
    }
    // Another origin's server must allow a page to see Content-Range; the length of a whole answer it always may.
    const head = await this.fetchBytes(this.url, { method: 'HEAD', signal: signal ?? null }).catch(() => null);
    if (head?.ok && !head.headers.get('content-encoding')) this.size = lengthOf(head);
  }

  private sameFile(response: Response): void {
    const etag = response.headers.get('etag');
    if (this.etag && etag && etag !== this.etag) {
      throw new PronkError('network', `${this.name}: the file changed on the server while it was read`);
    }
    this.etag ??= etag;
  }
}

async function interrupted<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Interrupted(messageOf(error), { cause: error });
  }
}

function httpError(response: Response): string {
  return `the server answered ${response.status} ${response.statusText}`.trim();
}

function lengthOf(response: Response): number {
  const text = response.headers.get('content-length');
  return text !== null && /^\d+$/.test(text) ? Number(text) : -1;
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(new PronkError('aborted', 'aborted'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

export function fileName(urlOrPath: string): string {
  const path = /^[a-z][a-z0-9+.-]+:/i.test(urlOrPath) && URL.canParse(urlOrPath) ? new URL(urlOrPath).pathname : urlOrPath;
  const name = path.split(/[\\/]/).pop() ?? '';
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

const splitName = /-(\d{5})-of-(\d{5})(\.gguf)$/i;

/** Place of a file in its split model by its name, from 0; -1 when the name tells none. */
export function splitIndex(name: string): number {
  const match = splitName.exec(name);
  return match ? Number(match[1]) - 1 : -1;
}

/** The names (paths, URLs) of all files of the split model that `name` is one of, in order; only `name` if of none. */
export function splitSiblings(name: string): string[] {
  const query = /^[a-z][a-z0-9+.-]+:\/\//i.test(name) ? name.search(/[?#]/) : -1;
  const path = query < 0 ? name : name.slice(0, query);
  const tail = query < 0 ? '' : name.slice(query);
  const match = splitName.exec(path);
  const count = match ? Number(match[2]) : 0;
  if (!match || count < 1) return [name];
  const start = path.slice(0, match.index);
  const number = (i: number): string => String(i + 1).padStart(5, '0');
  return Array.from({ length: count }, (_, i) => `${start}-${number(i)}-of-${match[2]}${match[3]}${tail}`);
}
