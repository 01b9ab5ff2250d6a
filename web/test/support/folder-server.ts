// A small HTTP server of a folder, and of the list that Hugging Face would give of it.
import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What is served: bytes, or what makes them. */
interface Content {
  readonly length: number;
  subarray(start: number, end: number): Uint8Array;
}

export interface FolderServer {
  origin: string;
  /** Of the folder, with a slash. */
  url: string;
  files: Map<string, Content>;
  /** "GET name range" of each. */
  requests: string[];
  close(): Promise<void>;
}

const sendBytes = 1 << 20;

/** Files lie at /owner/repo/resolve/main/; `list`: their list is told at /api/models/owner/repo/tree/main. */
export async function serveFolder(files: Map<string, Content>, list = false): Promise<FolderServer> {
  const requests: string[] = [];
  const state = { files };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://h');
    const name = decodeURIComponent(url.pathname.split('/').pop() ?? '');
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Expose-Headers', '*');
    response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
    if (url.pathname.startsWith('/api/')) {
      requests.push('LIST');
      if (!list) return void response.writeHead(404).end();
      return void response.end(JSON.stringify([...state.files].map(([path, content]) => listed(path, content))));
    }
    requests.push(`${request.method} ${name} ${request.headers.range ?? ''}`.trim());
    const path = /^\/owner\/repo\/resolve\/main\/(.+)$/.exec(url.pathname)?.[1];
    const content = path && state.files.get(decodeURIComponent(path));
    if (!content) return void response.writeHead(404).end('Entry not found');
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = range ? Math.min(Number(range[2]) + 1, content.length) : content.length;
    if (start >= content.length && content.length > 0) return void response.writeHead(416).end();
    if (range) response.setHeader('Content-Range', `bytes ${start}-${end - 1}/${content.length}`);
    response.setHeader('Content-Length', end - start);
    response.setHeader('ETag', `"${name}-${content.length}"`);
    response.writeHead(range ? 206 : 200);
    if (request.method === 'HEAD') response.end();
    else send(response, content, start, end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return Object.assign(state, { origin, url: `${origin}/owner/repo/resolve/main/`, requests, close });
}

function send(response: ServerResponse, content: Content, start: number, end: number): void {
  let at = start;
  const more = (): void => {
    while (at < end) {
      if (response.destroyed) return;
      const next = Math.min(end, at + sendBytes);
      const flows = response.write(content.subarray(at, next));
      at = next;
      if (!flows) return void response.once('drain', more);
    }
    response.end();
  };
  more();
}

function listed(path: string, content: Content): unknown {
  if (content.length > 1 << 24) return { type: 'file', path, size: content.length };
  const oid = createHash('sha256').update(content.subarray(0, content.length)).digest('hex');
  return { type: 'file', path, size: content.length, lfs: { oid } };
}
