// A file over HTTP: several Range requests at once where the server answers them, one body from its start where not.
import { type BodyReader, readBody } from './body-reader.js';
import { isAbort, messageOf, PronkError, throwIfAborted } from './errors.js';
import { discard, FileMissing, httpError, isMissing, lengthOf, retryAfter, validatorOf } from './http-answer.js';
import { Connection, Interrupted } from './http-connection.js';
import { Part } from './http-part.js';
import { pause } from './pause.js';
import { type ByteSource, fileName } from './source.js';

export interface HttpOptions {
  fetch?: typeof fetch;
  /** Milliseconds before each new try after a failure; a byte received starts them again. */
  delays?: readonly number[];
  /** Requests in flight; each holds a part. */
  connections?: number;
  partBytes?: number;
  /** Bytes of a part that are held at most; a longer one comes as fast as it is read, so it wants `connections` 1. */
  heldBytes?: number;
  /** Milliseconds without a byte after which a connection counts as broken. */
  patience?: number;
  /** Most milliseconds that a server's Retry-After is obeyed for. */
  longestWait?: number;
  /** Whether the browser's own HTTP cache may keep what is read; default true. */
  browserCache?: boolean;
}

const defaults = {
  delays: [250, 1000, 4000] as readonly number[],
  connections: 4,
  partBytes: 4 << 20,
  heldBytes: 4 << 20,
  patience: 30_000,
  longestWait: 30_000,
};
const silences =
  'the server cannot be reached, does not allow this page to read the file (CORS), or redirects without end';
const mostRetries = 1000; // of one source, all together
const probePatience = 6000; // milliseconds

/** What a server says about a file without sending it. */
export interface Probe {
  size: number; // -1: not told
  validator: string | null;
}

// The answer to the first Range request is the whole file.
class WholeFile extends Error {
  constructor(readonly response: Response) {
    super('the server answers no Range requests');
  }
}

/** Parts that follow one another, as far as a caller means to read. */
interface Run {
  parts: Part[]; // the first is the one being given out
  next: number; // where the part after the last starts
  end: number;
  abort: AbortController;
  signal: AbortSignal | undefined;
  unlink(): void;
}

interface Body {
  reader: BodyReader;
  position: number; // of the next byte that the reader gives
  end: number; // where the body must end; -1: not told
  rest: Uint8Array; // read, not yet given out; it lies before position
}

export class UrlSource implements ByteSource {
  readonly name: string;
  size = -1;
  /** ETag, else Last-Modified; null: not known. */
  validator: string | null = null;
  /** The file on the server is not the one that was expected; nothing read before belongs to it. */
  changed = false;
  private target: string; // where redirects led to; asked at once, as long as it answers
  private ranges: boolean | null = null; // null: not known yet
  private width: number; // requests in flight
  private answered = false; // whether the server ever gave an answer that could be read
  private retries = 0;
  private run: Run | null = null;
  private body: Body | null = null;
  private readonly spare: Uint8Array[] = [];
  private readonly options: typeof defaults & HttpOptions;

  constructor(
    readonly url: string,
    options: HttpOptions = {},
  ) {
    this.name = fileName(url);
    this.target = url;
    this.options = { ...defaults, ...options };
    this.width = this.options.connections;
  }

  /** What a cache knows of the file; an answer that differs is then an error. */
  expect({ size, validator }: Probe): void {
    this.size = size;
    this.validator = validator;
  }

  /** One HEAD request. 'offline': nobody answers; null: the answer says nothing of the file. */
  async probe(signal?: AbortSignal): Promise<Probe | 'offline' | null> {
    throwIfAborted(signal);
    const request = new Connection(signal, probePatience);
    try {
      const response = await request.race(this.fetch(this.url, { method: 'HEAD', signal: request.signal }));
      if (!response.ok) return null;
      const encoded = response.headers.get('content-encoding') !== null;
      return { size: encoded ? -1 : lengthOf(response), validator: validatorOf(response) };
    } catch {
      throwIfAborted(signal);
      return 'offline';
    } finally {
      request.end();
    }
  }

  async read(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    if (this.size >= 0 && offset >= this.size) return new Uint8Array(0);
    try {
      if (this.ranges !== false) return await this.readRun(offset, most, Math.max(end, offset + most), signal);
    } catch (error) {
      this.endRun();
      if (!(error instanceof WholeFile)) throw this.typed(error, signal);
      this.body = this.wholeBody(error.response);
    }
    return this.readBody(offset, most, signal);
  }

  async close(): Promise<void> {
    this.endRun();
    this.spare.length = 0;
    await this.endBody();
  }

  // --- ranges --------------------------------------------------------------------------------------------------------

  private async readRun(offset: number, most: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const run = this.runAt(offset, end, signal);
    for (;;) {
      this.topUp(run);
      const part = run.parts[0];
      if (!part) return new Uint8Array(0); // the file ends here
      part.release();
      await part.progress();
      if (part.start + part.given < offset && part.filled > part.given) {
        part.given = Math.min(part.filled, offset - part.start);
        continue;
      }
      if (part.filled > part.given) {
        return part.give(most);
      }
      if (this.size >= 0 && part.start + part.given >= this.size) return new Uint8Array(0);
      if (part.error !== null) throw part.error;
      this.drop(run);
    }
  }

  private runAt(offset: number, end: number, signal?: AbortSignal): Run {
    const open = this.run;
    if (open && open.signal === signal) {
      const part = open.parts[0];
      const position = part ? part.start + part.given : open.next;
      // What lies between is on its way already: it is passed over.
      if (position === offset || (position < offset && offset < open.next)) {
        open.end = Math.max(open.end, end);
        return open;
      }
    }
    this.endRun();
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    const unlink = (): void => signal?.removeEventListener('abort', onAbort);
    return (this.run = { parts: [], next: offset, end, abort, signal, unlink });
  }

  private get partBuffer(): number {
    return Math.min(this.options.partBytes, this.options.heldBytes);
  }

  // The first part has been given out.
  private drop(run: Run): void {
    const part = run.parts.shift()!;
    if (part.bytes.length === this.partBuffer) this.spare.push(part.bytes);
  }

  private topUp(run: Run): void {
    const first = run.parts[0];
    if (first && first.given === first.length) this.drop(run);
    const width = this.ranges === null ? 1 : this.width;
    const end = this.size < 0 ? run.end : Math.min(run.end, this.size);
    while (run.parts.length < width && run.next < end) {
      const length = Math.min(this.options.partBytes, end - run.next);
      const held = Math.min(length, this.partBuffer);
      const bytes = (held === this.partBuffer && this.spare.pop()) || new Uint8Array(held);
      const part = new Part(run.next, run.next + length, bytes);
      run.next = part.end;
      run.parts.push(part);
      void this.fill(run, part);
    }
  }

  /** Fills a part, by as many requests as it takes; never rejects. */
  private async fill(run: Run, part: Part): Promise<void> {
    const { signal } = run.abort;
    let tries = 0;
    while (part.filled < part.length) {
      const before = part.filled;
      try {
        await this.request(run, part, signal);
      } catch (error) {
        if (part.filled > before) tries = 0;
        this.target = this.url;
        const failure = signal.aborted ? error : await this.wait(error, tries++, signal);
        if (failure === null) continue;
        part.error = failure;
        break;
      }
    }
    part.changed();
  }

  /** Waits before another try; null then, else the error that ends the reading. */
  private async wait(error: unknown, tries: number, signal?: AbortSignal): Promise<unknown> {
    if (!(error instanceof Interrupted)) return error;
    const { delays, longestWait } = this.options;
    const delay = delays[tries];
    if (error.wait > longestWait) {
      const seconds = Math.ceil(error.wait / 1000);
      const why = `${error.message}, and asks to wait ${seconds} s`;
      return new PronkError('network', `${this.name}: ${why}`, { cause: error });
    }
    // A server that was never heard is tried once more, and not again.
    const hopeless = !this.answered && tries > 0 && error.cause instanceof TypeError;
    if (hopeless || delay === undefined || ++this.retries > mostRetries) {
      const why = hopeless && error.unexplained ? `${error.message}: ${silences}` : error.message;
      return new PronkError('network', `${this.name}: ${why}`, { cause: error });
    }
    try {
      await pause(Math.max(delay, error.wait), signal);
      return null;
    } catch (aborted) {
      return aborted;
    }
  }

  private async request(run: Run, part: Part, signal: AbortSignal): Promise<void> {
    const request = new Connection(signal, this.options.patience);
    try {
      const from = part.start + part.filled;
      const headers = { Range: `bytes=${from}-${part.end - 1}` };
      const asked = this.target;
      const response = await request.watch(this.fetch(asked, { headers, signal: request.signal }));
      this.answered = true;
      this.accept(response, asked);
      if (response.redirected) this.target = response.url;
      if (response.status !== 206) {
        // A server that gave ranges before: one of several behind a name, perhaps.
        if (this.ranges === true) return this.refuse(response, 'answers a Range request with the whole file');
        request.keep();
        throw new WholeFile(response);
      }
      await this.learnSize(response, signal);
      this.checkStart(response, from);
      if (this.size >= 0) part.end = Math.max(part.start, Math.min(part.end, this.size));
      this.ranges = true;
      this.topUp(run);
      await this.receive(request, response, part);
    } finally {
      request.end();
    }
  }

  private async receive(request: Connection, response: Response, part: Part): Promise<void> {
    const reader = readBody(response.body!);
    try {
      while (part.filled < part.length) {
        if (part.room === 0) {
          request.rest();
          await part.hasRoom(request.signal);
          throwIfAborted(request.signal);
        }
        const { done, value } = await request.watch(reader.read(part.room));
        if (!done) {
          part.add(value);
        } else if (this.size < 0) {
          part.end = this.size = part.start + part.filled;
        } else {
          throw new Interrupted(`the answer ended at byte ${part.start + part.filled} of ${part.end}`);
        }
      }
    } finally {
      void reader.cancel().catch(() => {});
    }
  }

  private checkStart(response: Response, from: number): void {
    const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (start === undefined || Number(start) === from) return;
    this.refuse(response, `was asked for byte ${from} and answered from byte ${start}`);
  }

  private refuse(response: Response, why: string): never {
    discard(response);
    throw new PronkError('network', `${this.name}: the server ${why}`);
  }

  private endRun(): void {
    const run = this.run;
    this.run = null;
    run?.unlink();
    run?.abort.abort();
  }

  // --- one body ------------------------------------------------------------------------------------------------------

  private async readBody(offset: number, most: number, signal?: AbortSignal): Promise<Uint8Array> {
    for (let tries = 0; ; ) {
      const before = this.body?.position ?? 0;
      try {
        return await this.readBodyOnce(offset, most, signal);
      } catch (error) {
        if ((this.body?.position ?? 0) > Math.max(before, offset)) tries = 0;
        await this.endBody();
        const failure = signal?.aborted ? error : await this.wait(error, tries++, signal);
        if (failure !== null) throw this.typed(failure, signal);
      }
    }
  }

  private async readBodyOnce(offset: number, most: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.size >= 0 && offset >= this.size) return new Uint8Array(0);
    if (this.body && this.body.position - this.body.rest.length > offset) await this.endBody();
    const request = new Connection(signal, this.options.patience);
    try {
      const body = (this.body ??= await this.openBody(request));
      const next = body.position - body.rest.length;
      body.rest = body.rest.subarray(Math.min(body.rest.length, offset - next));
      while (body.rest.length === 0) {
        const { done, value } = await request.race(body.reader.read());
        if (done) return this.finish(body);
        body.position += value.length;
        body.rest = value.subarray(Math.max(0, Math.min(value.length, offset - (body.position - value.length))));
      }
      const given = body.rest.subarray(0, most);
      body.rest = body.rest.subarray(given.length);
      return given;
    } finally {
      request.keep(); // the body is read on by the next call
      request.end();
    }
  }

  private async openBody(request: Connection): Promise<Body> {
    const response = await request.race(this.fetch(this.url, { signal: request.signal }));
    this.accept(response);
    return this.wholeBody(response);
  }

  private wholeBody(response: Response): Body {
    this.ranges = false;
    // The length of an encoded body is not that of the file.
    const length = response.headers.get('content-encoding') ? -1 : lengthOf(response);
    if (length >= 0) this.sameSize(length);
    return { reader: readBody(response.body!), position: 0, end: this.size, rest: new Uint8Array(0) };
  }

  private finish(body: Body): Uint8Array {
    if (body.end >= 0 && body.position < body.end) {
      throw new Interrupted(`the answer ended at byte ${body.position} of ${body.end}`);
    }
    if (this.size < 0) this.size = body.position;
    return new Uint8Array(0);
  }

  private async endBody(): Promise<void> {
    const body = this.body;
    this.body = null;
    await body?.reader.cancel().catch(() => {});
  }

  // --- answers -------------------------------------------------------------------------------------------------------

  private async fetch(url: string, init: RequestInit): Promise<Response> {
    const store: RequestInit = this.options.browserCache === false ? { cache: 'no-store' } : {};
    return (this.options.fetch ?? fetch)(url, { ...store, ...init });
  }

  /** An answer with bytes of the same file as before, or an error. */
  private accept(response: Response, asked = this.url): void {
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      discard(response);
      this.width = Math.max(1, this.width >> 1);
      throw new Interrupted(httpError(response), retryAfter(response));
    }
    if (!response.ok || !response.body) {
      discard(response);
      if (response.status === 416 && this.size >= 0) throw this.changedError();
      if (asked !== this.url) throw new Interrupted(httpError(response)); // it was good for a time
      const failure = isMissing(response) ? FileMissing : PronkError;
      throw new failure('network', `${this.name}: ${httpError(response)}`);
    }
    const validator = validatorOf(response);
    if (this.validator !== null && validator !== null && validator !== this.validator) {
      discard(response);
      throw this.changedError();
    }
    this.validator ??= validator;
  }

  private async learnSize(response: Response, signal?: AbortSignal): Promise<void> {
    const total = /\/(\d+)\s*$/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (total) {
      this.sameSize(Number(total));
    } else if (this.size < 0) {
      // Another origin's server must allow a page to see Content-Range; the length of a whole answer it always may.
      const probe = await this.probe(signal);
      if (probe !== null && probe !== 'offline') this.size = probe.size;
    }
  }

  private sameSize(size: number): void {
    if (this.size >= 0 && size !== this.size) throw this.changedError(`: it has ${size} bytes, not ${this.size}`);
    this.size = size;
  }

  private changedError(how = ''): PronkError {
    this.changed = true;
    return new PronkError('network', `${this.name}: the file changed on the server while it was read${how}`);
  }

  private typed(error: unknown, signal?: AbortSignal): PronkError {
    if (signal?.aborted || isAbort(error)) return new PronkError('aborted', 'aborted', { cause: error });
    if (error instanceof PronkError) return error;
    return new PronkError('network', `${this.name}: ${messageOf(error)}`, { cause: error });
  }
}
