// Measures llama.cpp on the CPU by node-llama-cpp, in the way of `pronk bench`: prefill of a prompt in an empty
// context, then decoding after it; one run before those that count.
//   node bench/llama_cpp.mjs FOLDER -m FILE [-p 512] [-n 128] [-t 1] [-r 5]
// FOLDER has node_modules/node-llama-cpp (npm install node-llama-cpp). Prints one JSON object, in tokens a second.
// Of the libraries in node_modules/@node-llama-cpp/PLATFORM/bins/PLATFORM llama.cpp takes the one that suits the
// processor best; in a copy of FOLDER that has libggml-cpu-haswell.so alone, AVX2.
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    m: { type: 'string', short: 'm' },
    p: { type: 'string', short: 'p', default: '512' },
    n: { type: 'string', short: 'n', default: '128' },
    t: { type: 'string', short: 't', default: '1' },
    r: { type: 'string', short: 'r', default: '5' },
  },
});
const [folder] = positionals;
if (!folder || !options.m) throw new Error('usage: llama_cpp.mjs FOLDER -m FILE [-p N] [-n N] [-t N] [-r N]');
const prompt = Number(options.p);
const generated = Number(options.n);
const threads = Number(options.t);
const runs = Number(options.r);

const path = createRequire(join(resolve(folder), 'package.json')).resolve('node-llama-cpp');
const { getLlama } = await import(pathToFileURL(path).href);
const llama = await getLlama({ gpu: false, logLevel: 'error' });
const model = await llama.loadModel({ modelPath: resolve(options.m) });
const context = await model.createContext({ contextSize: prompt + generated + 8, threads, batchSize: 512 });
const sequence = context.getSequence();

// Seconds of a prompt up to its first token, and of the tokens after that.
async function run(seed) {
  await sequence.clearHistory();
  const tokens = Array.from({ length: prompt }, (_, i) => 1000 + ((i * 7919 + seed * 131) % 40000));
  const start = performance.now();
  let first = start;
  let count = 0;
  for await (const _ of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
    if (count === 0) first = performance.now();
    if (++count > generated) break;
  }
  return { prefill: (first - start) / 1000, decode: (performance.now() - first) / 1000 };
}

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
await run(0);
const timed = [];
for (let i = 1; i <= runs; ++i) timed.push(await run(i));
console.log(
  JSON.stringify({
    engine: 'llama.cpp',
    model: options.m,
    threads,
    prefill: median(timed.map((each) => prompt / each.prefill)),
    decode: median(timed.map((each) => generated / each.decode)),
    system: llama.systemInfo,
  }),
);
process.exit(0);
