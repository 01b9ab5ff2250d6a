// Makes the page open and answer without a network, after one visit. The build fills in what is kept (vite.config.ts).
// Responses are kept as they came, with the headers that isolate the page.
const version = '__VERSION__';
const files = __FILES__; // paths from the scope of this worker
const kept = `pronk-page-${version}`;
const later = 'pronk-page-later'; // what loads when it is first needed

const urlOf = (path) => new URL(path, self.registration.scope).href;

async function install() {
  const cache = await caches.open(kept);
  await cache.addAll(files.map((path) => new Request(urlOf(path), { cache: 'no-cache' })));
}

/** Forgets what earlier versions kept. */
async function tidy() {
  for (const name of await caches.keys()) {
    if (name.startsWith('pronk-page-') && name !== kept) await caches.delete(name);
  }
}

/** The bytes that a request asks for, of a whole response: a cache holds no parts. */
async function partOf(response, range) {
  const match = /^bytes=(\d+)-(\d*)$/.exec(range);
  if (!match) return response;
  const whole = await response.blob();
  const start = Number(match[1]);
  const end = match[2] === '' ? whole.size - 1 : Math.min(Number(match[2]), whole.size - 1);
  if (start > end) return new Response(null, { status: 416, headers: { 'Content-Range': `bytes */${whole.size}` } });
  const headers = new Headers(response.headers);
  headers.set('Content-Range', `bytes ${start}-${end}/${whole.size}`);
  headers.set('Content-Length', String(end - start + 1));
  return new Response(whole.slice(start, end + 1), { status: 206, headers });
}

async function fromCache(request) {
  const range = request.headers.get('range');
  const plain = range === null ? request : new Request(request.url);
  const found = await caches.match(plain, { ignoreVary: true });
  return found && range !== null ? partOf(found, range) : found;
}

/** Names under assets/ have a hash in them: what is kept under one never grows old. */
async function asset(request) {
  const found = await fromCache(request);
  if (found) return found;
  const response = await fetch(request);
  if (response.status === 200) {
    const cache = await caches.open(later);
    await cache.put(request, response.clone());
  }
  return response;
}

/** What is kept of the page that an address names, or else the one page there is. */
async function keptPage(url) {
  const { origin, pathname } = new URL(url);
  const index = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
  return (await caches.match(origin + index)) ?? caches.match(urlOf('./'));
}

/** All else comes from the network, where there is one. */
async function fresh(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const found = await (request.mode === 'navigate' ? keptPage(request.url) : fromCache(request));
    if (found) return found;
    throw error;
  }
}

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(tidy()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const scope = self.registration.scope;
  if (request.method !== 'GET' || !request.url.startsWith(scope)) return;
  const path = request.url.slice(scope.length);
  if (path.startsWith('models/')) return; // the engine has a cache of its own
  event.respondWith(path.startsWith('assets/') ? asset(request) : fresh(request));
});
