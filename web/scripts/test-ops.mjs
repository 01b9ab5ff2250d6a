// The operation tests of `pronk test-ops` in Node, whose WebGPU is Dawn, as Chromium's is: what the command line's device
// lacks, subgroups on CPU drivers above all, is tested here. Needs web/dist (npm run build) and build/wasm/pronk-ops.wasm.
//
// usage: node scripts/test-ops.mjs [--op NAME] [--candidate NAME] [--quick] [--no-features | --experimental] [--default-limits]
//        [--verbose]
//   --experimental: with what Dawn holds back as unsafe, such as matrices of subgroups
// Exit status 0: all are right, 1: one is not, or there is none, 2: no device.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { GpuHost, requestDevice } from '../dist/runtime/gpu.js';
import { createNodeGpu } from '../dist/runtime/gpu-node.js';
import { WasmModule } from '../dist/runtime/module.js';

const silence = 120_000; // milliseconds without an event after which a device counts as dead
const wasm = new URL('../../build/wasm/pronk-ops.wasm', import.meta.url);

const { values: given } = parseArgs({
  options: {
    op: { type: 'string', default: '' },
    candidate: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    'no-features': { type: 'boolean', default: false },
    experimental: { type: 'boolean', default: false },
    'default-limits': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

async function open() {
  const gpu = await createNodeGpu(given.experimental ? ['enable-dawn-features=allow_unsafe_apis'] : []);
  const granted = await requestDevice(gpu, {
    noFeatures: given['no-features'],
    defaultLimits: given['default-limits'],
  });
  if (typeof granted === 'string') return granted;
  const host = new GpuHost(granted.device, granted.info, granted.integerDotProduct);
  const log = (at, length) => console.error(Buffer.from(exports.memory.buffer, at, length).toString());
  const { instance } = await WebAssembly.instantiate(readFileSync(wasm), { pronk: { ...host.imports(), log } });
  const { exports } = instance;
  exports._initialize?.();
  let wake = () => {};
  let events = 0;
  host.attach(exports, () => {
    events++;
    wake();
  });
  const next = async () => {
    const timer = setTimeout(() => wake(new Error(`the device has been silent for ${silence / 1000} s`)), silence);
    const error = events > 0 ? undefined : await new Promise((resolve) => (wake = resolve));
    clearTimeout(timer);
    events = 0;
    wake = () => {};
    if (error) throw error;
  };
  return { gpu, host, module: new WasmModule(exports), device: granted.device, next };
}

const opened = await open().catch((error) => String(error));
if (typeof opened === 'string') {
  console.error(`test-ops: ${opened}`);
  process.exit(2);
}
const { module, device, next } = opened;
globalThis.pronkGpu = opened; // Dawn crashes where its objects are collected
const features =
  [...device.features].filter((name) => /^(shader-f16|subgroups)$/.test(name)).join(', ') || 'no features';
console.log(`${device.adapterInfo.description || device.adapterInfo.device || 'a device'}: ${features}`);
const tests = module.withText(given.op, (op, opLength) =>
  module.withText(given.candidate, (name, length) =>
    module.call((m) => m.ops_choose(op, opLength, name, length, given.quick ? 1 : 0)),
  ),
);
let failed = 0;
for (let test = 0; test < tests; test++) {
  module.call((m) => m.ops_start(test));
  while (module.call((m) => m.ops_pump()) === 0) await next();
  const { op, format, shape, variant, error, tolerance, message } = module.resultObject();
  if (message) failed++;
  if (message || given.verbose) {
    const difference = error === undefined ? '' : ` ${error} of ${tolerance}`;
    console.log(`${[op, format, shape, variant].join(' ')}:${difference} ${message || 'ok'}`);
  }
}
console.log(`${tests} tests, ${failed} failed`);
process.exit(failed > 0 || tests === 0 ? 1 : 0);
