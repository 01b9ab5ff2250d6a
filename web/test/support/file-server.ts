// A small HTTP server of one file, with the faults that sources must bear.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Faults {
  ranges?: boolean; // default true
  /** Status for the n-th request (from 0) in place of an answer. */
  status?: (request: number) => number | undefined;
  /** Sent with each status of `status`. */
  retryAfter?: string;
  /** The n-th answer's connection breaks after this many bytes. */
  breakAfter?: (request: number) => number | undefined;
  /** Milliseconds between the last byte and the break; default 20. */
  breakPause?: number;
  /** Bytes left off the end of each whole answer, its length not told. */
  cut?: number;
  etag?: (request: number) => string;
  lastModified?: string;
  hideContentRange?: boolean;
  wrongStart?: boolean;
  /** The n-th answer waits for this. */
  hold?: (request: number) => Promise<void> | undefined;
  /** Nothing is sent until this many milliseconds have passed. */
  delay?: number;
  /** Answers to other paths, as JSON. */
  json?: (path: string) => unknown;
}

/** What is served: bytes, or what makes them. */
export interface Content {
  readonly length: number;
  subarray(start: number, end: number): Uint8Array;
}

export interface FileServer {
  url: string;
  origin: string;
  requests: string[]; // method and range of each
  target: string; // path and query of the last one
  content: Content;
  faults: Faults;
  readonly sent: number; // bytes of the file that were handed to connections
  readonly open: number; // requests whose answers have not ended
  close(): Promise<void>;
}

export async function serveBytes(content: Content, faults: Faults = {}): Promise<FileServer> {
  const state = { content, faults, requests: [] as string[], target: '', sent: 0, open: 0 };
  const server = createServer((request, response) => {
    state.open++;
    response.on('close', () => state.open--);
    answer(state, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(state, {
    url: `${origin}/dir/model%20one.gguf?download=1`,
    origin,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

type State = Pick<FileServer, 'content' | 'faults' | 'requests' | 'target'> & { sent: number };

function answer(state: State, request: IncomingMessage, response: ServerResponse): void {
  const { content, faults, requests } = state;
  response.setHeader('Access-Control-Allow-Origin', '*');
  response.setHeader('Access-Control-Expose-Headers', '*');
  response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  const json = faults.json?.(request.url ?? '');
  if (json !== undefined) {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(json));
    return;
  }
  state.target = request.url ?? '';
  const n = requests.length;
  requests.push(`${request.method} ${request.headers.range ?? ''}`.trim());
  const status = faults.status?.(n);
  if (status) {
    if (faults.retryAfter) response.setHeader('Retry-After', faults.retryAfter);
    response.writeHead(status).end('no');
    return;
  }
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const ranged = match !== null && faults.ranges !== false;
  const start = ranged ? Number(match[1]) : 0;
  const end = ranged ? Math.min(Number(match[2]) + 1, content.length) : content.length - (faults.cut ?? 0);
  if (faults.etag) response.setHeader('ETag', faults.etag(n));
  if (faults.lastModified) response.setHeader('Last-Modified', faults.lastModified);
  if (ranged && !faults.hideContentRange) {
    response.setHeader('Content-Range', `bytes ${faults.wrongStart ? start + 1 : start}-${end - 1}/${content.length}`);
  }
  if (!faults.cut) response.setHeader('Content-Length', end - start);
  const send = (): void => {
    if (response.destroyed) return; // the client has gone
    response.writeHead(ranged ? 206 : 200);
    if (request.method === 'HEAD') return void response.end();
    const broken = faults.breakAfter?.(n);
    const stop = broken === undefined || start + broken > end ? end : start + broken;
    state.sent += stop - start;
    const bytes = content.subarray(start, stop);
    if (broken === undefined) response.end(bytes);
    else response.write(bytes, () => setTimeout(() => response.destroy(), faults.breakPause ?? 20));
  };
  const held = faults.hold?.(n);
  if (held) void held.then(send);
  else if (faults.delay) setTimeout(send, faults.delay);
  else send();
}
