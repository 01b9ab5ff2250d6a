// How fast a model loads from the cache in a real browser, against plain reading of the same bytes from OPFS in the same
// run; and where the time goes between the two. Needs web/dist (npm run build).
//
// usage: node scripts/measure-opfs.mjs --model FILE.gguf [--device webgpu|cpu] [--rounds N] [--cold] [--json]
// A busy machine makes the rates small; the processor's time that Chromium took, all its processes together, is told too.
//   --cold   before each reading the operating system forgets the profile's files (Linux), so that the disk is read
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { listen, makeServer } from '../../tools/serve.mjs';
import { chromiumArguments } from './chromium-arguments.mjs';

const deadline = 570_000; // milliseconds

const page = `<!doctype html><meta charset="utf-8" /><title>OPFS</title><link rel="icon" href="data:," />
<script type="module" src="./main.js"></script>`;
const script = "import { Pronk } from './api/index.js'; window.Pronk = Pronk;";

// In a worker of its own: the one entry's data, read in order in parts of 4 MiB: into one buffer ('plain'), into
// WebAssembly memory that nobody has touched ('fresh', what an engine that keeps its weights there cannot do without),
// or through the cache's own checks ('hashed').
const reader = `
  import { openOpfs } from './runtime/cache-opfs.js';
  import { EntryReader } from './runtime/cache-entry.js';
  onmessage = async ({ data: way }) => {
    const folder = await openOpfs();
    const [key] = await folder.keys();
    const { size } = JSON.parse(await folder.readInfo(key));
    const files = await folder.open(key, false);
    const rate = (start) => size / (performance.now() - start) / 1000; // MB/s
    const most = 4 << 20;
    const memory = way === 'fresh' && new WebAssembly.Memory({ initial: Math.ceil(size / 65536) });
    const part = new Uint8Array(most);
    const place = (at) => (memory ? new Uint8Array(memory.buffer, at, Math.min(most, size - at)) : part);
    const checked = new EntryReader(files, size);
    const start = performance.now();
    for (let at = 0; at < size; at += most) {
      if (way === 'hashed') await checked.part(at);
      else await files.data.read(at, place(at));
    }
    const speed = rate(start);
    await checked.release();
    await files.close();
    postMessage(speed);
  };
`;

/** Runs in the page: MB/s. */
function readAll(way) {
  return new Promise((resolve, reject) => {
    const worker = new Worker('./reader.js', { type: 'module' });
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(way);
  });
}

/** Runs in the page. Rates in MB/s of the file's bytes. */
async function loadOnce({ url, device, cache }) {
  let first = 0;
  let last = 0;
  let fromCache = 0;
  const start = performance.now();
  const engine = await window.Pronk.load(url, {
    device,
    cache,
    contextSize: 256,
    onProgress: (progress) => {
      if (progress.phase === 'weights') first ||= performance.now();
      if (progress.phase === 'prepare') last ||= performance.now();
      fromCache = progress.fromCache ?? fromCache;
    },
  });
  const seconds = (performance.now() - start) / 1000;
  const bytes = engine.plan.fileBytes;
  await engine.unload();
  return { bytes, fromCache, seconds, streaming: bytes / (last - first) / 1000 };
}

const middle = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

/** Seconds of processor time that Chromium's processes have taken; 0 where there is no /proc. */
function processorSeconds() {
  let ticks = 0;
  const parents = new Map();
  try {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      parents.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
    }
  } catch {
    return processorSeconds.last ?? 0; // one ended while we looked
  }
  for (const [pid, { ticks: own }] of parents) {
    let at = pid;
    for (let i = 0; i < 16 && at !== process.pid && parents.has(at); i++) at = parents.get(at).parent;
    if (at === process.pid && pid !== process.pid) ticks += own;
  }
  return (processorSeconds.last = ticks / 100);
}

/** What `run` gives, and the processor seconds it took. */
async function timed(run) {
  const start = processorSeconds();
  return { value: await run(), seconds: processorSeconds() - start };
}

function forget(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = join(folder, name);
    const info = statSync(path, { throwIfNoEntry: false });
    if (!info?.isFile() || info.size < 1 << 20) continue;
    execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}

async function measure(tab, values, profile) {
  const given = { url: `models/${encodeURIComponent(basename(values.model))}`, device: values.device, cache: true };
  const download = await tab.evaluate(loadOnce, given);
  const rounds = [];
  for (let i = 0; i < Number(values.rounds); i++) {
    if (values.cold) forget(profile);
    const plain = await timed(() => tab.evaluate(readAll, 'plain'));
    if (values.cold) forget(profile);
    const fresh = await tab.evaluate(readAll, 'fresh');
    if (values.cold) forget(profile);
    const hashed = await timed(() => tab.evaluate(readAll, 'hashed'));
    if (values.cold) forget(profile);
    const { value: load, seconds: busy } = await timed(() => tab.evaluate(loadOnce, given));
    if (load.fromCache < 0.9 * load.bytes) throw new Error('the model did not come from the cache');
    rounds.push({
      plain: plain.value,
      plainBusy: plain.seconds,
      fresh,
      hashed: hashed.value,
      hashedBusy: hashed.seconds,
      load: load.streaming,
      loadBusy: busy,
      seconds: load.seconds,
    });
  }
  const network = await tab.evaluate(loadOnce, { ...given, cache: false });
  const of = (name) => middle(rounds.map((round) => round[name]));
  return {
    bytes: download.bytes,
    download: download.streaming,
    network: network.streaming,
    plain: of('plain'),
    fresh: of('fresh'),
    hashed: of('hashed'),
    load: of('load'),
    ratio: middle(rounds.map((round) => round.load / round.plain)),
    freshRatio: middle(rounds.map((round) => round.load / round.fresh)),
    seconds: of('seconds'),
    busy: { plain: of('plainBusy'), hashed: of('hashedBusy'), load: of('loadBusy') },
    rounds,
  };
}

function print(figures, device) {
  const line = (name, rate, busy) => {
    const processor = busy === undefined ? '' : `, ${busy.toFixed(2)} s of processor time`;
    console.log(`${name.padEnd(42)} ${rate.toFixed(0).padStart(6)} MB/s${processor}`);
  };
  console.log(`${(figures.bytes / 1e6).toFixed(1)} MB of weights, median of ${figures.rounds.length} rounds`);
  line(`load from localhost, no cache, ${device}`, figures.network);
  line('the same, written to OPFS', figures.download);
  line('plain reading of OPFS, 4 MiB parts', figures.plain, figures.busy.plain);
  line('the same into untouched memory', figures.fresh);
  line('the same with its hashes checked', figures.hashed, figures.busy.hashed);
  line(`load from OPFS, ${device}`, figures.load, figures.busy.load);
  const ratios = `load / plain reading ${figures.ratio.toFixed(2)}, into untouched memory ${figures.freshRatio.toFixed(2)}`;
  console.log(`${ratios}; a whole load takes ${figures.seconds.toFixed(2)} s`);
}

async function main() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      device: { type: 'string', default: 'webgpu' },
      rounds: { type: 'string', default: '5' },
      cold: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  if (!values.model) throw new Error('--model is missing');
  const root = mkdtempSync(join(tmpdir(), 'pronk-measure-'));
  cpSync(fileURLToPath(new URL('../dist', import.meta.url)), root, { recursive: true });
  writeFileSync(join(root, 'index.html'), page);
  writeFileSync(join(root, 'main.js'), script);
  writeFileSync(join(root, 'reader.js'), reader);
  const server = makeServer({ root, model: values.model });
  // Not a context of its own: those are private windows, whose OPFS is in memory.
  const launch = {
    executablePath: process.env.PRONK_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: chromiumArguments,
  };
  const browser = await chromium.launchPersistentContext(join(root, 'profile'), { ...launch, timeout: 60_000 });
  const late = setTimeout(() => void browser.close(), deadline);
  try {
    const port = await listen(server, 18_600);
    const tab = browser.pages()[0] ?? (await browser.newPage());
    await tab.goto(`http://localhost:${port}/`);
    await tab.waitForFunction(() => window.Pronk !== undefined);
    const figures = await measure(tab, values, join(root, 'profile'));
    if (values.json) console.log(JSON.stringify(figures));
    else print(figures, values.device);
  } finally {
    clearTimeout(late);
    await browser.close();
    server.close();
    server.closeAllConnections();
    rmSync(root, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(`measure-opfs: ${error.message}`);
  process.exit(1);
});
