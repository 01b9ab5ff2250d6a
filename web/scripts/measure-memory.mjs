// What the engine takes in a real browser: the memory of all of Chromium's processes while a model loads and answers on
// WebGPU (SwiftShader, which keeps "GPU" memory in its process) or the CPU, over an empty tab of the same browser. With
// --runs also how fast it is afterwards, when nothing is sampled any more: the best of so many prompts and answers.
// Linux only; needs web/dist (npm run build).
//
// Nothing drives the page from outside: DevTools would keep what it downloads in the memory that is measured.
//
// usage: node scripts/measure-memory.mjs --model FILE.gguf|FOLDER [--context N] [--kv TYPE] [--tokens N]
//          [--device webgpu|cpu] [--threads N] [--runs N] [--prompt N] [--no-cache] [--peak MB --steady MB] [--json] [--verbose]
// With --peak and --steady (over weights and KV cache) and a heap of 32 MiB, what takes more is an error.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { listen, makeServer } from '../../tools/serve.mjs';
import { chromiumArguments } from './chromium-arguments.mjs';

const programArguments = ['--headless=new', ...chromiumArguments];
const sampleInterval = 100; // milliseconds
const settleTime = 4000; // until a tab is at rest
const deadline = 570_000;
const mostHeap = 32 << 20;

const page = `<!doctype html><meta charset="utf-8" /><title>memory</title><link rel="icon" href="data:," />
<script type="module" src="./main.js"></script>`;

// A tab that is empty at first, then loads and generates, and tells what the engine says of itself.
const script = (task) => `const tell = (message) => fetch('report', { method: 'POST', body: JSON.stringify(message) });
await new Promise((resolve) => setTimeout(resolve, ${2 * settleTime}));
try {
  await tell(await (${loadAndGenerate})(${JSON.stringify(task)}));
  if (${task.runs} > 0) {
    await new Promise((resolve) => setTimeout(resolve, ${2 * settleTime}));
    await tell(await (${generateOften})(window.engine, ${JSON.stringify(task)}));
  }
} catch (error) {
  await tell({ error: String(error) });
}`;

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

// Pages of the program's own files are shared with other Chromiums: what they add depends on who else runs.
let alone = true;

function isStranger(pid, ours) {
  return !ours.has(pid) && /\/chromium(\0|$)/.test(readText(`/proc/${pid}/cmdline`));
}

/** Bytes by kind of process: their proportional set size (PSS), so that what they share counts once. */
function sample() {
  const bytes = { total: 0, files: 0 };
  const ours = new Set(descendants(process.pid));
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name) && isStranger(Number(name), ours)) alone = false;
  }
  for (const pid of ours) {
    const rollup = readText(`/proc/${pid}/smaps_rollup`);
    const field = (name) => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
    const kind = /--type=([\w-]+)/.exec(readText(`/proc/${pid}/cmdline`))?.[1] ?? 'browser';
    const own = field('Pss') - field('Pss_File');
    bytes[kind] = (bytes[kind] ?? 0) + own;
    bytes.files += field('Pss_File');
    bytes.total += own;
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
const largest = (samples) =>
  samples.reduce((most, one) => (one.bytes.total > most.bytes.total ? one : most), samples[0]);

/** Runs in the page: what the engine says of itself, with the time of each phase's start. */
async function loadAndGenerate({ url, tokens, options }) {
  const phases = [{ phase: 'start', at: Date.now() }];
  const enter = (phase) => phases.at(-1).phase === phase || phases.push({ phase, at: Date.now() });
  const { Pronk } = await import('./api/index.js');
  const engine = await Pronk.load(url, { ...options, onProgress: ({ phase }) => void enter(phase) });
  enter('generate');
  const generation = engine.generate('Once upon a time, the old engine in the browser began to hum and it', {
    maxTokens: tokens,
    temperature: 0,
    ignoreEos: true,
  });
  const result = await generation.result;
  enter('end');
  window.engine = engine; // stays
  return { phases, result, plan: engine.plan, stats: await engine.stats() };
}

/** Runs in the page: the rates of `runs` answers of `tokens` tokens, each to a prompt of its own. */
async function generateOften(engine, { runs, prompt, tokens }) {
  const rates = [];
  for (let run = 0; run < runs; run++) {
    const ids = Array.from({ length: prompt }, (_, i) => 100 + ((7919 * i + 31 * run) % 1000));
    const options = { maxTokens: tokens, temperature: 0, ignoreEos: true };
    const { timings } = await engine.generate(ids, options).result;
    rates.push({ prefill: timings.promptTokensPerSecond, decode: timings.tokensPerSecond });
  }
  return { rates, threads: (await engine.stats()).threads };
}

function makeQueue() {
  const waiting = [];
  let wake = () => {};
  return {
    push(message) {
      waiting.push(message);
      wake();
    },
    async next() {
      while (waiting.length === 0) await new Promise((resolve) => (wake = resolve));
      return waiting.shift();
    },
  };
}

/** Serves the page and the model, and takes the page's reports. */
function makeReportServer({ root, model, folder }, onReport) {
  const files = makeServer({ root, model: folder ? undefined : model });
  const inFolder = makeServer({ root: model });
  return createServer((request, response) => {
    if (request.method !== 'POST') {
      const of = folder && request.url.startsWith('/folder/') ? inFolder : files;
      if (of === inFolder) request.url = request.url.slice('/folder'.length);
      return void of.emit('request', request, response);
    }
    let text = '';
    request.on('data', (part) => (text += part));
    request.on('end', () => {
      response.end();
      onReport(JSON.parse(text));
    });
  });
}

async function nextReport(reports) {
  const made = await reports.next();
  if (made.error) throw new Error(made.error);
  return made;
}

async function measure(reports) {
  await pause(settleTime);
  const empty = sample();
  const stop = startSampling();
  const made = await nextReport(reports);
  await pause(settleTime);
  const samples = stop();
  return { empty, steady: sample(), samples, ...made };
}

function report({ empty, steady, samples, phases, result, plan, stats }) {
  if (alone) for (const { bytes } of [{ bytes: empty }, { bytes: steady }, ...samples]) bytes.total += bytes.files;
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
    alone,
    loadSeconds: (startOf('generate') - startOf('start')) / 1000,
    tokens: result.generatedTokens,
    tokensPerSecond: result.timings.tokensPerSecond,
    peakByPhase: Object.fromEntries(peaks),
    processes: { empty, peak: peak.bytes, steady },
  };
}

function printRates({ rates, threads }, tokens, prompt) {
  const best = (name) => Math.max(...rates.map((rate) => rate[name])).toFixed(2);
  console.log(
    `best of ${rates.length} with ${threads} threads: prefill of ${prompt} tokens ${best('prefill')} tok/s, decode of ${tokens} ${best('decode')} tok/s`,
  );
}

const mega = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const signed = (bytes) => `${bytes < 0 ? '-' : '+'} ${mega(Math.abs(bytes))}`;

function print(figures, verbose) {
  const over = (bytes) => `weights + KV ${signed(bytes)}`;
  console.log(
    `weights ${mega(figures.weights)}, KV cache ${mega(figures.kvCache)} (${figures.contextLength} tokens), plan ${mega(figures.planned)}`,
  );
  console.log(`peak    ${mega(figures.peak)} = ${over(figures.peakOver)}`);
  console.log(`steady  ${mega(figures.steady)} = ${over(figures.steadyOver)}`);
  console.log(
    `WASM heap ${(figures.heap / 2 ** 20).toFixed(1)} MiB; loaded in ${figures.loadSeconds.toFixed(1)} s; ${figures.tokensPerSecond.toFixed(2)} tok/s`,
  );
  if (!figures.alone) console.log("another Chromium ran meanwhile: pages of the program's own files are left out");
  if (!verbose) return;
  for (const [phase, bytes] of Object.entries(figures.peakByPhase)) {
    if (bytes !== null)
      console.log(`  peak in '${phase}': ${mega(bytes)} = ${over(bytes - figures.weights - figures.kvCache)}`);
  }
  for (const [when, bytes] of Object.entries(figures.processes)) {
    const parts = Object.entries(bytes).filter(([kind]) => kind !== 'total');
    console.log(`  ${when}: ${parts.map(([kind, part]) => `${kind} ${mega(part)}`).join(', ')}`);
  }
}

function exceeded(figures, { peak, steady }) {
  const wrong = [];
  if (peak !== undefined && figures.peakOver > Number(peak) * 1e6)
    wrong.push(`the peak is more than ${peak} MB over weights and KV cache`);
  if (steady !== undefined && figures.steadyOver > Number(steady) * 1e6)
    wrong.push(`it stays more than ${steady} MB over weights and KV cache`);
  if ((peak ?? steady) !== undefined && figures.heap > mostHeap) wrong.push('the WASM heap is more than 32 MiB');
  return wrong;
}

function killChromium() {
  for (const pid of descendants(process.pid).reverse()) {
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
      context: { type: 'string' },
      kv: { type: 'string' },
      tokens: { type: 'string', default: '16' },
      device: { type: 'string', default: 'webgpu' },
      threads: { type: 'string' },
      runs: { type: 'string', default: '0' },
      prompt: { type: 'string', default: '64' },
      peak: { type: 'string' },
      steady: { type: 'string' },
      'no-cache': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  if (!values.model) throw new Error('--model is missing');
  const root = mkdtempSync(join(tmpdir(), 'pronk-memory-'));
  // A profile on the disk, as people have: a private window would keep its OPFS and its HTTP cache in memory.
  const profile = mkdtempSync(join(tmpdir(), 'pronk-profile-'));
  const reports = makeQueue();
  const folder = statSync(values.model).isDirectory();
  const server = makeReportServer({ root, model: values.model, folder }, reports.push);
  const late = setTimeout(() => {
    console.error('measure-memory: it takes too long');
    killChromium();
    process.exit(1);
  }, deadline);
  try {
    const options = { cache: !values['no-cache'], device: values.device };
    if (values.threads) options.threads = Number(values.threads);
    if (values.context) options.contextSize = Number(values.context);
    if (values.kv) options.kv = values.kv;
    const url = folder ? 'folder/' : `models/${encodeURIComponent(basename(values.model))}`;
    cpSync(fileURLToPath(new URL('../dist', import.meta.url)), root, { recursive: true });
    writeFileSync(join(root, 'index.html'), page);
    const task = {
      url,
      options,
      tokens: Number(values.tokens),
      runs: Number(values.runs),
      prompt: Number(values.prompt),
    };
    writeFileSync(join(root, 'main.js'), script(task));
    const origin = `http://localhost:${await listen(server, 18_600)}`;
    const executable = process.env['PRONK_CHROMIUM'] ?? '/usr/bin/chromium';
    spawn(executable, [...programArguments, `--user-data-dir=${profile}`, origin], { stdio: 'ignore' });
    const figures = report(await measure(reports));
    if (task.runs > 0) figures.speed = await nextReport(reports);
    if (values.json) console.log(JSON.stringify(figures));
    else print(figures, values.verbose);
    if (figures.speed && !values.json) printRates(figures.speed, task.tokens, task.prompt);
    for (const line of exceeded(figures, values)) {
      console.error(`measure-memory: ${line}`);
      process.exitCode = 1;
    }
  } finally {
    clearTimeout(late);
    killChromium();
    server.close();
    server.closeAllConnections();
    for (const folder of [root, profile]) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
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
