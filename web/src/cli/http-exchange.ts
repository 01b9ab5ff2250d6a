// One request of the server and its answer, in OpenAI's forms.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { FieldError } from '../api/openai/request.js';
import { messageOf, PronkError } from '../runtime/errors.js';

/** What a request is refused with. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null = null,
  ) {
    super(message);
  }
}

export class Exchange {
  private readonly abort = new AbortController();

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
  ) {
    // Also after a whole answer, when nobody listens any more.
    response.on('close', () => this.abort.abort());
  }

  /** Aborts when the client goes away. */
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** Ends it, whether answered or not. */
  cut(): void {
    this.abort.abort();
    this.response.destroy();
  }

  header(name: string, value: string): void {
    this.response.setHeader(name, value);
  }

  empty(status: number): void {
    this.response.writeHead(status).end();
  }

  json(status: number, value: unknown): void {
    this.response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  }

  /** Server-sent events: each chunk, then [DONE]. Waits for a client that reads slowly. */
  async events(chunks: AsyncIterable<unknown>): Promise<void> {
    this.response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    this.response.flushHeaders();
    for await (const chunk of chunks) await this.event(JSON.stringify(chunk));
    await this.event('[DONE]');
    this.response.end();
  }

  private async event(data: string): Promise<void> {
    if (this.signal.aborted) throw new PronkError('aborted', 'the client went away');
    if (this.response.write(`data: ${data}\n\n`)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.response.off('drain', done);
        this.response.off('close', done);
        resolve();
      };
      this.response.on('drain', done);
      this.response.on('close', done);
    });
  }

  /** The error as an answer, or as the last event of a stream. */
  fail(error: unknown): void {
    if (this.response.destroyed || this.response.writableEnded) return;
    const { status, ...body } = errorAnswer(error);
    if (this.response.headersSent) {
      this.response.end(`data: ${JSON.stringify(body)}\n\n`);
      return;
    }
    // What is left of the body is not read: the connection cannot be used again.
    if (!this.request.complete) this.header('connection', 'close');
    this.json(status, body);
  }

  /** The body as JSON; a body that is no JSON, or too large, is an HttpError. */
  async body(most: number): Promise<Record<string, unknown>> {
    const type = this.request.headers['content-type'] ?? '';
    // Also keeps pages from asking without CORS: they may send JSON only after a preflight.
    if (!/^application\/json\b/i.test(type)) throw new HttpError(415, 'the content type is not application/json');
    const parts: Buffer[] = [];
    const tooLarge = (): HttpError => new HttpError(413, `the body is larger than ${most} bytes`);
    if (Number(this.request.headers['content-length'] ?? 0) > most) throw tooLarge();
    let length = 0;
    // Not destroyed when left: the answer goes by the same connection.
    for await (const part of this.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > most) throw tooLarge();
      parts.push(part);
    }
    let value: unknown;
    try {
      value = JSON.parse(Buffer.concat(parts).toString('utf8'));
    } catch (error) {
      throw new HttpError(400, `the body is not JSON: ${messageOf(error)}`);
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new HttpError(400, 'the body is not a JSON object');
  }
}

function errorAnswer(error: unknown): { status: number; error: object } {
  const message = messageOf(error);
  if (error instanceof HttpError) {
    const type = error.status < 500 ? 'invalid_request_error' : 'server_error';
    return { status: error.status, error: { message, type, param: null, code: error.code } };
  }
  const code = error instanceof PronkError ? error.code : 'internal';
  const param = error instanceof FieldError ? error.field : null;
  if (code === 'bad-argument' || code === 'unsupported') {
    return { status: 400, error: { message, type: 'invalid_request_error', param, code } };
  }
  return { status: code === 'unloaded' ? 503 : 500, error: { message, type: 'server_error', param, code } };
}
