// A static server for this machine only: the page with the headers that shared memory needs (COOP and COEP), and one
// model with Range requests. No dependencies.
//
// usage: node serve.mjs --root FOLDER [--model FILE.gguf] [--port N]
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, dirname, extname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const contentTypes = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.map': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.md': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
};

// What a page here, and its workers, may run and fetch. demo/index.html says the same for other servers, but for
// frame-ancestors, which only a header can say; its test compares them.
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "manifest-src 'self'",
  "connect-src 'self' https: http:", // models come from anywhere
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

// The names under /models/ that may be asked for: the model, and the other parts where it is one of a split file.
function isModelName(name, model) {
  if (!model) return false;
  const split = /^(.*)-\d{5}(-of-\d{5}\.gguf)$/;
  const served = split.exec(basename(model));
  const asked = split.exec(name);
  return name === basename(model) || (served && asked && served[1] === asked[1] && served[2] === asked[2]);
}

// The file that a path of a URL names, or undefined. Never one outside of root, be it by "..", or by a link.
async function findFile(pathname, { root, model }) {
  const decoded = decodeURIComponent(pathname);
  if (decoded.includes('\0')) return undefined;
  if (decoded.startsWith('/models/')) {
    const name = decoded.slice('/models/'.length);
    if (isModelName(name, model)) return join(dirname(model), name);
  }
  const top = await realpath(root);
  const wanted = resolve(top, `.${decoded.endsWith('/') ? `${decoded}index.html` : decoded}`);
  const real = await realpath(wanted);
  return real.startsWith(top + sep) ? real : undefined;
}

// {start, end} (inclusive) of a header `Range: bytes=a-b`, 'whole' when there is none or it asks for several, or
// 'unsatisfiable' (RFC 9110 §14.1.2).
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return 'whole';
  if (match[1] === '') {
    const length = Math.min(Number(match[2]), size);
    return length > 0 ? { start: size - length, end: size - 1 } : 'unsatisfiable';
  }
  const start = Number(match[1]);
  if (match[2] !== '' && Number(match[2]) < start) return 'whole';
  if (start >= size) return 'unsatisfiable';
  return { start, end: match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1) };
}

function refuse(response, status, text, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers });
  response.end(`${text}\n`);
}

function sendFile(request, response, path, info) {
  const etag = `"${info.size.toString(16)}-${Math.round(info.mtimeMs).toString(16)}"`;
  response.setHeader('Content-Type', contentTypes[extname(path).toLowerCase()] ?? 'application/octet-stream');
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('ETag', etag);
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304);
    return response.end();
  }
  const condition = request.headers['if-range'];
  const range = condition && condition !== etag ? 'whole' : parseRange(request.headers.range, info.size);
  if (range === 'unsatisfiable') {
    return refuse(response, 416, 'range not satisfiable', { 'Content-Range': `bytes */${info.size}` });
  }
  const part = range === 'whole' ? { start: 0, end: info.size - 1 } : range;
  const headers = { 'Content-Length': part.end - part.start + 1 };
  if (range !== 'whole') headers['Content-Range'] = `bytes ${part.start}-${part.end}/${info.size}`;
  response.writeHead(range === 'whole' ? 200 : 206, headers);
  if (request.method === 'HEAD' || info.size === 0) return response.end();
  const stream = createReadStream(path, part);
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

// A node:http server, not yet listening. root: folder of the page; model: path of a GGUF file, or nothing.
export function makeServer({ root, model }) {
  return createServer(async (request, response) => {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
    response.setHeader('Content-Security-Policy', contentSecurityPolicy);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-cache');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return refuse(response, 405, 'only GET and HEAD', { Allow: 'GET, HEAD' });
    }
    try {
      const path = await findFile(request.url.split(/[?#]/, 1)[0], { root, model });
      const info = path && (await stat(path));
      if (!info?.isFile()) return refuse(response, 404, 'not found');
      sendFile(request, response, path, info);
    } catch (error) {
      if (error instanceof URIError) refuse(response, 400, 'malformed address');
      else if (['ENOENT', 'ENOTDIR', 'EACCES', 'ENAMETOOLONG'].includes(error.code)) refuse(response, 404, 'not found');
      else refuse(response, 500, 'cannot read the file');
    }
  });
}

// Listens on 127.0.0.1 at the first free port from `port` on; gives the port.
export function listen(server, port) {
  const last = Math.min(port + 99, 65535);
  return new Promise((done, fail) => {
    let next = port;
    server.on('error', (error) => {
      if (error.code === 'EADDRINUSE' && next < last) server.listen(++next, '127.0.0.1');
      else fail(error);
    });
    server.once('listening', () => done(server.address().port));
    server.listen(next, '127.0.0.1');
  });
}

async function main() {
  const { values } = parseArgs({
    options: { root: { type: 'string' }, model: { type: 'string' }, port: { type: 'string', default: '8080' } },
  });
  if (!values.root) throw new Error('--root is missing');
  const port = await listen(makeServer(values), Number(values.port));
  const query = values.model ? `?model=/models/${encodeURIComponent(basename(values.model))}` : '';
  console.log(`\npronk: http://localhost:${port}/${query}\n(Ctrl+C ends it)`);
}

if (process.argv[1] && (await realpath(process.argv[1])) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(`serve: ${error.message}`);
    process.exit(1);
  });
}
