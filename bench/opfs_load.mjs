// Measures how fast a kept model is loaded from OPFS in Chromium on the CPU, beside plain reading of the same file from
// OPFS into WebAssembly memory that nobody has touched: what any engine has to do that keeps its weights there.
//   node bench/opfs_load.mjs MODEL.gguf [RUNS]
// Wants web/dist (./check --build). Prints a line for each run and the medians, in MB/s.
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { listen, makeServer } from '../tools/serve.mjs';
import { chromiumArguments } from '../web/scripts/chromium-arguments.mjs';

const [model, runs = '5'] = process.argv.slice(2);
if (!model) throw new Error('usage: opfs_load.mjs MODEL.gguf [RUNS]');
const { chromium } = createRequire(new URL('../web/package.json', import.meta.url))('playwright-core');

const reader = `onmessage = async () => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('pronk');
  for await (const [, folder] of root.entries()) {
    if (folder.kind !== 'directory') continue;
    const file = await (await folder.getFileHandle('data')).createSyncAccessHandle({ mode: 'read-only' });
    const [size, part] = [file.getSize(), 4 << 20];
    const memory = new WebAssembly.Memory({ initial: Math.ceil(size / 65536), maximum: 65536 });
    const begin = performance.now();
    for (let at = 0; at < size; at += part) {
      file.read(new Uint8Array(memory.buffer, at, Math.min(part, size - at)), { at });
    }
    const seconds = (performance.now() - begin) / 1000;
    file.close();
    return postMessage(size / 1e6 / seconds);
  }
};`;

const load = async (url) => {
  const { Pronk } = await import('/api/index.js');
  let [first, last, bytes] = [0, 0, 0];
  const onProgress = ({ phase, totalBytes }) => {
    if (phase !== 'weights') return;
    last = performance.now();
    first ||= last;
    bytes = totalBytes;
  };
  const engine = await Pronk.load(url, { device: 'cpu', threads: 1, contextSize: 512, onProgress });
  await engine.unload();
  return (bytes / 1e6 / (last - first)) * 1000;
};
const read = () =>
  new Promise((done, failed) => {
    const worker = new Worker('/read.js');
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = failed;
    worker.postMessage(null);
  });
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const root = resolve(import.meta.dirname, '../web/dist');
const server = makeServer({ root, model: resolve(model) });
const origin = `http://localhost:${await listen(server, 0)}`;
// A profile on disk: a private window keeps its files in memory, behind another process.
const profile = await mkdtemp(join(tmpdir(), 'pronk-opfs-'));
const options = { executablePath: '/usr/bin/chromium', args: chromiumArguments };
const browser = await chromium.launchPersistentContext(profile, options);
try {
  const page = await browser.newPage();
  await page.route('**/page', (route) => route.fulfill({ contentType: 'text/html', body: '<title>load</title>' }));
  await page.route('**/read.js', (route) => route.fulfill({ contentType: 'text/javascript', body: reader }));
  await page.goto(`${origin}/page`);
  const url = `${origin}/models/${basename(model)}`;
  await page.evaluate(load, url); // keeps it
  await page.evaluate(load, url); // checks it
  const loads = [];
  const reads = [];
  for (let run = 0; run < Number(runs); run++) {
    reads.push(await page.evaluate(read));
    loads.push(await page.evaluate(load, url));
    console.log(`plain reading ${reads[run].toFixed(0)}, load ${loads[run].toFixed(0)}`);
  }
  const [plain, loaded] = [median(reads), median(loads)];
  console.log(
    `medians: plain reading ${plain.toFixed(0)}, load ${loaded.toFixed(0)}, ${(loaded / plain).toFixed(2)} of it`,
  );
} finally {
  await browser.close();
  await rm(profile, { recursive: true });
  server.close();
  server.closeAllConnections();
}
