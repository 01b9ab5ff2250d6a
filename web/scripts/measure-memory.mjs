// What the engine takes in a real browser: the memory of all of Chromium's processes while a model loads and answers on
// WebGPU (SwiftShader, which keeps "GPU" memory in its process), over an empty tab of the same browser.
// Linux only; needs web/dist (npm run build).
//
// usage: node scripts/measure-memory.mjs --model FILE.gguf [--source url|file] [--context N] [--kv TYPE] [--tokens N]
//          [--peak MB --steady MB] [--json] [--verbose]
// With --peak and --steady (over weights and KV cache) and a heap of 32 MiB, what takes more is an error.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { listen, makeServer } from '../../tools/serve.mjs';

const chromiumArguments = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const sampleInterval = 100; // milliseconds
const settleTime = 4000; // until a tab is at rest
const deadline = 570_000;
const mostHeap = 32 << 20;

const page = `<!doctype html><meta charset="utf-8" /><title>memory</title><link rel="icon" href="data:," />
<input id="file" type="file" />
<script type="module">
  import { Pronk } from './api/index.js';
  window.Pronk = Pronk;
</script>`;

/** Ids of all processes below `root`. */
function descendants(root) {
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readText(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [];
  for (let todo = [root]; todo.length > 0; ) {
    const below = children.get(todo.pop()) ?? [];
    found.push(...below);
    todo.push(...below);
  }
  return found;
}

// Empty when the process has ended meanwhile.
function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Bytes by kind of process: their proportional set size (PSS), so that what they share counts once. */
function sample() {
  const bytes = { total: 0 };
  for (const pid of descendants(process.pid)) {
    const kilobytes = /^Pss:\s+(\d+)/m.exec(readText(`/proc/${pid}/smaps_rollup`))?.[1];
    if (kilobytes === undefined) continue;
    const kind = /--type=([\w-]+)/.exec(readText(`/proc/${pid}/cmdline`))?.[1] ?? 'browser';
    bytes[kind] = (bytes[kind] ?? 0) + 1024 * Number(kilobytes);
    bytes.total += 1024 * Number(kilobytes);
  }
  return bytes;
}

/** Samples until stop(), which gives all of them: {at: milliseconds since the epoch, bytes}. */
function startSampling() {
  const samples = [];
  let timer = null;
  const take = () => {
    samples.push({ at: Date.now(), bytes: sample() });
    timer = setTimeout(take, sampleInterval);
  };
  take();
  return () => {
    clearTimeout(timer);
    return samples;
  };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const largest = (samples) => samples.reduce((most, one) => (one.bytes.total > most.bytes.total ? one : most), samples[0]);

/** Runs in the page: loads, generates, and says what the engine says of itself, with the time of each phase's start. */
async function loadAndGenerate({ url, tokens, options }) {
  const source = url ?? document.getElementById('file').files[0];
  const phases = [{ phase: 'start', at: Date.now() }];
  const enter = (phase) => phases.at(-1).phase === phase || phases.push({ phase, at: Date.now() });
  const engine = await window.Pronk.load(source, {
    ...options,
    device: 'webgpu',
    onProgress: ({ phase }) => void enter(phase),
  });
  enter('generate');
  const generation = engine.generate('Once upon a time, the old engine in the browser began to hum and it', {
    maxTokens: tokens,
    temperature: 0,
    ignoreEos: true,
  });
  const result = await generation.result;
  enter('end');
  window.engine = engine;
  return { phases, result, plan: engine.plan, stats: await engine.stats() };
}

async function measure(browser, origin, values) {
  const tab = await (await browser.newContext()).newPage();
  await tab.goto('about:blank');
  await pause(settleTime);
  const empty = sample();
  await tab.goto(origin);
  await tab.waitForFunction('window.Pronk !== undefined');
  const byFile = values.source === 'file';
  if (byFile) await tab.locator('#file').setInputFiles(values.model);
  const stop = startSampling();
  const options = {};
  if (values.context) options.contextSize = Number(values.context);
  if (values.kv) options.kv = values.kv;
  const url = byFile ? null : `models/${encodeURIComponent(basename(values.model))}`;
  let made;
  try {
    made = await tab.evaluate(loadAndGenerate, { url, tokens: Number(values.tokens), options });
    await pause(settleTime);
  } finally {
    stop();
  }
  const samples = stop();
  const steady = sample();
  return { empty, steady, samples, ...made };
}

function report({ empty, steady, samples, phases, result, plan, stats }) {
  const peak = largest(samples);
  const least = plan.memory.weights + plan.memory.kvCache;
  const startOf = (name) => phases.find(({ phase }) => phase === name).at;
  const peaks = phases.slice(0, -1).map(({ phase, at }, i) => {
    const inside = samples.filter((one) => one.at >= at && one.at <= phases[i + 1].at);
    return [phase, inside.length > 0 ? largest(inside).bytes.total - empty.total : null];
  });
  return {
    weights: plan.memory.weights,
    kvCache: plan.memory.kvCache,
    planned: plan.memory.total,
    contextLength: plan.contextLength,
    emptyTab: empty.total,
    peak: peak.bytes.total - empty.total,
    steady: steady.total - empty.total,
    peakOver: peak.bytes.total - empty.total - least,
    steadyOver: steady.total - empty.total - least,
    heap: stats.heapBytes,
    loadSeconds: (startOf('generate') - startOf('start')) / 1000,
    tokens: result.generatedTokens,
    tokensPerSecond: result.timings.tokensPerSecond,
    peakByPhase: Object.fromEntries(peaks),
    processes: { empty, peak: peak.bytes, steady },
  };
}

const mega = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const signed = (bytes) => `${bytes < 0 ? '-' : '+'} ${mega(Math.abs(bytes))}`;

function print(figures, verbose) {
  const over = (bytes) => `weights + KV ${signed(bytes)}`;
  console.log(`weights ${mega(figures.weights)}, KV cache ${mega(figures.kvCache)} (${figures.contextLength} tokens), plan ${mega(figures.planned)}`);
  console.log(`peak    ${mega(figures.peak)} = ${over(figures.peakOver)}`);
  console.log(`steady  ${mega(figures.steady)} = ${over(figures.steadyOver)}`);
  console.log(`WASM heap ${(figures.heap / 2 ** 20).toFixed(1)} MiB; loaded in ${figures.loadSeconds.toFixed(1)} s; ${figures.tokensPerSecond.toFixed(2)} tok/s`);
  if (!verbose) return;
  for (const [phase, bytes] of Object.entries(figures.peakByPhase)) {
    if (bytes !== null) console.log(`  peak in '${phase}': ${mega(bytes)} = ${over(bytes - figures.weights - figures.kvCache)}`);
  }
  for (const [when, bytes] of Object.entries(figures.processes)) {
    const parts = Object.entries(bytes).filter(([kind]) => kind !== 'total');
    console.log(`  ${when}: ${parts.map(([kind, part]) => `${kind} ${mega(part)}`).join(', ')}`);
  }
}

function exceeded(figures, { peak, steady }) {
  const wrong = [];
  if (peak !== undefined && figures.peakOver > Number(peak) * 1e6) wrong.push(`the peak is more than ${peak} MB over weights and KV cache`);
  if (steady !== undefined && figures.steadyOver > Number(steady) * 1e6) wrong.push(`it stays more than ${steady} MB over weights and KV cache`);
  if ((peak ?? steady) !== undefined && figures.heap > mostHeap) wrong.push('the WASM heap is more than 32 MiB');
  return wrong;
}

function killChromium() {
  for (const pid of descendants(process.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended
    }
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      source: { type: 'string', default: 'url' },
      context: { type: 'string' },
      kv: { type: 'string' },
      tokens: { type: 'string', default: '16' },
      peak: { type: 'string' },
      steady: { type: 'string' },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  if (!values.model) throw new Error('--model is missing');
  if (!['url', 'file'].includes(values.source)) throw new Error("--source is 'url' or 'file'");
  const root = mkdtempSync(join(tmpdir(), 'pronk-memory-'));
  const server = makeServer({ root, model: values.model });
  const late = setTimeout(() => {
    console.error('measure-memory: it takes too long');
    killChromium();
    process.exit(1);
  }, deadline);
  try {
    cpSync(fileURLToPath(new URL('../dist', import.meta.url)), root, { recursive: true });
    writeFileSync(join(root, 'index.html'), page);
    const origin = `http://localhost:${await listen(server, 18_600)}`;
    const executablePath = process.env['PRONK_CHROMIUM'] ?? '/usr/bin/chromium';
    const browser = await chromium.launch({ executablePath, headless: true, args: chromiumArguments, timeout: 60_000 });
    const figures = report(await measure(browser, origin, values));
    if (values.json) console.log(JSON.stringify(figures));
    else print(figures, values.verbose);
    for (const line of exceeded(figures, values)) {
      console.error(`measure-memory: ${line}`);
      process.exitCode = 1;
    }
  } finally {
    clearTimeout(late);
    killChromium();
    server.close();
    server.closeAllConnections();
    rmSync(root, { recursive: true, force: true });
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    killChromium();
    process.exit(1);
  });
}
main().then(
  () => process.exit(),
  (error) => {
    console.error(`measure-memory: ${error.message}`);
    process.exit(1);
  },
);
