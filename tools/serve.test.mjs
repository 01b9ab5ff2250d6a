// Run by: node --test tools/serve.test.mjs
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { contentSecurityPolicy, listen, makeServer, parseRange } from './serve.mjs';

let folder, server, port;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pronk-serve-'));
  await mkdir(join(folder, 'dist/assets'), { recursive: true });
  await mkdir(join(folder, 'dist-beside'));
  await writeFile(join(folder, 'dist/index.html'), '<p>page');
  await writeFile(join(folder, 'dist/assets/pronk.wasm'), 'wasm');
  await writeFile(join(folder, 'secret.txt'), 'secret');
  await writeFile(join(folder, 'dist-beside/secret.txt'), 'secret');
  await symlink(join(folder, 'secret.txt'), join(folder, 'dist/link.txt'));
  await writeFile(join(folder, 'm-00001-of-00002.gguf'), '0123456789');
  await writeFile(join(folder, 'm-00002-of-00002.gguf'), 'second');
  await writeFile(join(folder, 'm-00001-of-00003.gguf'), 'another');
  server = makeServer({ root: join(folder, 'dist'), model: join(folder, 'm-00001-of-00002.gguf') });
  port = await listen(server, 18080);
});

after(async () => {
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true });
});

// The path goes out as it is: fetch() would tidy ".." away.
function get(path, { method = 'GET', headers = {} } = {}) {
  return new Promise((done, fail) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, timeout: 5000 }, (answer) => {
      let body = '';
      answer.on('data', (part) => (body += part));
      answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, body }));
    });
    sent.on('error', fail);
    sent.end();
  });
}

test('serves the page isolated from other origins', async () => {
  const page = await get('/?model=/models/a.gguf');
  assert.equal(page.status, 200);
  assert.equal(page.body, '<p>page');
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  assert.equal(page.headers['cross-origin-opener-policy'], 'same-origin');
  assert.equal(page.headers['cross-origin-embedder-policy'], 'require-corp');
  assert.match(
    page.headers['content-security-policy'],
    /script-src 'self' 'wasm-unsafe-eval';.*frame-ancestors 'none'/,
  );
  assert.equal((await get('/assets/pronk.wasm')).headers['content-type'], 'application/wasm');
  assert.equal(server.address().address, '127.0.0.1');
});

test('sends the policy that the chat page has in itself', async () => {
  const html = await readFile(new URL('../demo/index.html', import.meta.url), 'utf8');
  const own = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(html)[1];
  assert.equal(contentSecurityPolicy, `${own}; frame-ancestors 'none'`);
});

test('serves nothing outside of the page', async () => {
  const paths = [
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/assets/../../secret.txt',
    '/link.txt',
    '/../dist-beside/secret.txt',
    '/models/..%2fsecret.txt',
    '/models/secret.txt',
    '/models/m-00001-of-00003.gguf',
    '//etc/passwd',
    '/assets',
    '/missing',
    '/index.html/x',
    '/a%00b',
  ];
  for (const path of paths) {
    const answer = await get(path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.body, 'not found\n', path);
  }
  assert.equal((await get('/%zz')).status, 400);
  assert.equal((await get('/', { method: 'POST' })).status, 405);
});

test('serves a model and its other parts by ranges', async () => {
  const path = '/models/m-00001-of-00002.gguf';
  const whole = await get(path);
  assert.equal(whole.status, 200);
  assert.equal(whole.body, '0123456789');
  assert.equal(whole.headers['accept-ranges'], 'bytes');
  const part = await get(path, { headers: { Range: 'bytes=2-4' } });
  assert.equal(part.status, 206);
  assert.equal(part.body, '234');
  assert.equal(part.headers['content-range'], 'bytes 2-4/10');
  assert.equal(part.headers['content-length'], '3');
  const beyond = await get(path, { headers: { Range: 'bytes=10-' } });
  assert.equal(beyond.status, 416);
  assert.equal(beyond.headers['content-range'], 'bytes */10');
  const changed = await get(path, { headers: { Range: 'bytes=2-4', 'If-Range': '"old"' } });
  assert.equal(changed.status, 200);
  assert.equal(changed.body, '0123456789');
  const head = await get(path, { method: 'HEAD' });
  assert.equal(head.headers['content-length'], '10');
  assert.equal(head.body, '');
  assert.equal((await get('/models/m-00002-of-00002.gguf')).body, 'second');
});

test('takes the next port where one is taken', async () => {
  const other = makeServer({ root: folder });
  assert.equal(await listen(other, port), port + 1);
  other.close();
});

test('reads ranges as RFC 9110 has them', () => {
  assert.deepEqual(parseRange('bytes=0-0', 10), { start: 0, end: 0 });
  assert.deepEqual(parseRange('bytes=5-', 10), { start: 5, end: 9 });
  assert.deepEqual(parseRange('bytes=-3', 10), { start: 7, end: 9 });
  assert.deepEqual(parseRange('bytes=-30', 10), { start: 0, end: 9 });
  assert.deepEqual(parseRange('bytes=5-900', 10), { start: 5, end: 9 });
  assert.equal(parseRange('bytes=-0', 10), 'unsatisfiable');
  assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
  assert.equal(parseRange('bytes=5-4', 10), 'whole');
  assert.equal(parseRange('bytes=1-2,4-5', 10), 'whole');
  assert.equal(parseRange('lines=1-2', 10), 'whole');
  assert.equal(parseRange(undefined, 10), 'whole');
});
