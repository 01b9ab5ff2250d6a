// A small HTTP server of one file, with the faults that sources must bear.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Faults {
  ranges?: boolean; // default true
  /** Status for the n-th request (from 0) in place of an answer. */
  status?: (request: number) => number | undefined;
  /** The n-th answer's connection breaks after this many bytes. */
  breakAfter?: (request: number) => number | undefined;
  /** Bytes left off the end of each whole answer, its length not told. */
  cut?: number;
  etag?: (request: number) => string;
  hideContentRange?: boolean;
  wrongStart?: boolean;
}

export interface FileServer {
  url: string;
  requests: string[]; // method and range of each
  close(): Promise<void>;
}

export async function serveBytes(bytes: Uint8Array, faults: Faults = {}): Promise<FileServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => answer(bytes, faults, requests, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/dir/model%20one.gguf?download=1`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(
  bytes: Uint8Array,
  faults: Faults,
  requests: string[],
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const n = requests.length;
  requests.push(`${request.method} ${request.headers.range ?? ''}`.trim());
  const status = faults.status?.(n);
  if (status) {
    response.writeHead(status).end('no');
    return;
  }
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const ranged = match !== null && faults.ranges !== false;
  const start = ranged ? Number(match[1]) : 0;
  const end = ranged ? Math.min(Number(match[2]) + 1, bytes.length) : bytes.length - (faults.cut ?? 0);
  if (faults.etag) response.setHeader('ETag', faults.etag(n));
  if (ranged && !faults.hideContentRange) {
    response.setHeader('Content-Range', `bytes ${faults.wrongStart ? start + 1 : start}-${end - 1}/${bytes.length}`);
  }
  if (!faults.cut) response.setHeader('Content-Length', end - start);
  response.writeHead(ranged ? 206 : 200);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const broken = faults.breakAfter?.(n);
  if (broken === undefined) response.end(bytes.subarray(start, end));
  else response.write(bytes.subarray(start, start + broken), () => setTimeout(() => response.destroy(), 20));
}
