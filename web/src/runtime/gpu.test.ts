// GpuHost against Node's Dawn, with a module made of nothing but memory and an event queue.
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { EventKind, HostDescription } from './abi.js';
import { GpuHost, matrixSize, requestDevice, type SubgroupMatrixConfig } from './gpu.js';
import { createNodeGpu } from './gpu-node.js';

interface SeenEvent {
  kind: number;
  id: number;
  bytes: Uint8Array;
}

const storage = 1 | 4 | 8; // storage, copy_src, copy_dst
const readback = 8 | 16; // copy_dst, map_read
const bindings = [2, 1]; // storage_read_write, storage_read

const affine = `
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@group(0) @binding(1) var<storage, read> add: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&data)) { data[id.x] = data[id.x] * 3u + add[id.x]; }
}`;

class FakeModule {
  memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  events: { kind: number; id: number; at: number; length: number }[] = [];
  private top = 16;
  private eventTop = 128 * 1024;

  put(bytes: ArrayLike<number>): number {
    const at = this.top;
    new Uint8Array(this.memory.buffer).set(bytes, at);
    this.top = (at + bytes.length + 15) & ~7;
    return at;
  }
  text(text: string): [number, number] {
    const bytes = new TextEncoder().encode(text);
    return [this.put(bytes), bytes.length];
  }
  pronk_gpu_event = (kind: number, id: number, length: number): number => {
    const at = this.eventTop;
    this.eventTop += (length + 7) & ~7;
    this.events.push({ kind, id, at, length });
    return at;
  };
}

const nodeGpu = createNodeGpu().then(
  (gpu) => gpu,
  (error: unknown) => String(error),
);
let module: FakeModule;
let device: GPUDevice;
let host: GpuHost;
let gpu: ReturnType<GpuHost['imports']>;
let wake = (): void => {};

async function nextEvent(): Promise<SeenEvent> {
  if (module.events.length === 0) {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no event within 20 s')), 20000);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  const event = module.events.shift()!;
  const bytes = new Uint8Array(module.memory.buffer, event.at, event.length).slice();
  return { kind: event.kind, id: event.id, bytes };
}

async function expectEvent(kind: number, id: number): Promise<SeenEvent> {
  const event = await nextEvent();
  expect([event.kind, event.id], new TextDecoder().decode(event.bytes)).toEqual([kind, id]);
  return event;
}

// One mistake may be reported more than once, by the call and by those that it spoils.
async function expectEventAfterErrors(kind: number, id: number): Promise<void> {
  let event = await nextEvent();
  while (event.kind === EventKind.error) event = await nextEvent();
  expect([event.kind, event.id], textOf(event)).toEqual([kind, id]);
}

const textOf = (event: SeenEvent): string => new TextDecoder().decode(event.bytes);
const wordsOf = (event: SeenEvent): number[] => Array.from(new Uint32Array(event.bytes.buffer));

function createBuffer(id: number, size: number, usage: number): void {
  gpu.gpu_create_buffer(id, size, usage, ...module.text('buffer'));
}
function write(id: number, words: number[]): void {
  gpu.gpu_write_buffer(id, 0, module.put(new Uint8Array(new Uint32Array(words).buffer)), words.length * 4);
}
function createPipeline(id: number, wgsl: string, types: number[]): void {
  gpu.gpu_create_pipeline(id, ...module.text('kernel'), ...module.text(wgsl), module.put(types), types.length);
}
function createGroup(id: number, pipeline: number, ranges: { buffer: number; offset: number; size: number }[]): void {
  const packed = new DataView(new ArrayBuffer(24 * ranges.length));
  ranges.forEach((range, i) => {
    packed.setFloat64(24 * i, range.offset, true);
    packed.setFloat64(24 * i + 8, range.size, true);
    packed.setUint32(24 * i + 16, range.buffer, true);
  });
  gpu.gpu_create_bind_group(id, pipeline, module.put(new Uint8Array(packed.buffer)), ranges.length);
}

async function openHost(context: TestContext): Promise<void> {
  const node = await nodeGpu;
  const grant = typeof node === 'string' ? node : await requestDevice(node);
  if (typeof grant === 'string') {
    console.log(`skipped: ${grant}`);
    return context.skip();
  }
  module = new FakeModule();
  device = grant.device;
  host = new GpuHost(grant.device, grant.info, grant.integerDotProduct);
  host.attach(module, () => wake());
  gpu = host.imports();
}

beforeEach((context) => openHost(context));
afterEach(() => host?.destroy());

describe('GpuHost', () => {
  it('describes the device', () => {
    const at = module.put(new Uint8Array(HostDescription.bytes).fill(255));
    expect(gpu.gpu_describe(at)).toBe(1);
    const view = new DataView(module.memory.buffer, at);
    const {
      maxBufferSize,
      maxStorageBuffersPerShaderStage,
      maxComputeInvocationsPerWorkgroup,
      integerDotProduct,
      vendor,
    } = HostDescription.fields;
    expect(view.getFloat64(maxBufferSize.offset, true)).toBeGreaterThanOrEqual(256 * 1024 * 1024);
    expect(view.getUint32(maxStorageBuffersPerShaderStage.offset, true)).toBeGreaterThanOrEqual(8);
    expect(view.getUint32(maxComputeInvocationsPerWorkgroup.offset, true)).toBeGreaterThanOrEqual(256);
    expect(view.getUint32(integerDotProduct.offset, true)).toBe(1); // Dawn has it
    expect(view.getUint8(vendor.offset + vendor.bytes - 1)).toBe(0); // texts end
  });

  it('runs dispatches and writes in order and keeps several reads in flight', async () => {
    createPipeline(1, affine, bindings);
    await expectEvent(EventKind.pipelineReady, 1);
    createBuffer(1, 8, storage);
    createBuffer(2, 512, storage);
    write(2, Array(128).fill(1));
    createGroup(1, 1, [
      { buffer: 1, offset: 0, size: 8 },
      { buffer: 2, offset: 256, size: 8 },
    ]);
    for (let step = 0; step < 4; step++) {
      createBuffer(3 + step, 16, readback);
      if (step === 2) gpu.gpu_write_buffer(2, 256, module.put([5, 0, 0, 0]), 4);
      gpu.gpu_begin();
      gpu.gpu_dispatch(1, 1, 1, 1, 1);
      gpu.gpu_copy_buffer(1, 0, 3 + step, 8, 8);
      gpu.gpu_submit();
      gpu.gpu_read(3 + step, 8, 8, 100 + step);
    }
    gpu.gpu_notify_done(9);
    const seen: number[][] = [];
    let done = 0;
    while (seen.length < 4 || done === 0) {
      const event = await nextEvent();
      if (event.kind === EventKind.workDone) {
        done = event.id;
        continue;
      }
      expect([event.kind, event.id], textOf(event)).toEqual([EventKind.readDone, 100 + seen.length]);
      seen.push(wordsOf(event));
    }
    expect(done).toBe(9);
    expect(seen).toEqual([
      [1, 1],
      [4, 4],
      [17, 13],
      [56, 40],
    ]);
  });

  it('gives the compiler’s text with its line when a pipeline fails', async () => {
    createPipeline(1, affine.replace('add[id.x]', 'misspelled_name'), bindings);
    const text = textOf(await expectEvent(EventKind.pipelineFailed, 1));
    expect(text).toContain('misspelled_name');
    expect(text).toMatch(/^6:\d+ error/);
    createPipeline(2, affine, [2]); // right WGSL that does not fit its layout
    expect(textOf(await expectEvent(EventKind.pipelineFailed, 2))).not.toBe('');
    createPipeline(3, affine, bindings);
    await expectEvent(EventKind.pipelineReady, 3);
  });

  it('refuses buffers that are too large', async () => {
    createBuffer(1, 2 ** 46, storage);
    expect(textOf(await expectEvent(EventKind.bufferFailed, 1))).not.toBe('');
    createBuffer(2, 2 ** 60, storage); // more than WebIDL takes
    await expectEvent(EventKind.bufferFailed, 2);
    gpu.gpu_read(2, 0, 4, 7);
    await expectEvent(EventKind.readFailed, 7);
  });

  it('reports misuse as errors and lives on', async () => {
    createPipeline(1, affine, bindings);
    gpu.gpu_begin();
    gpu.gpu_dispatch(1, 1, 1, 1, 1);
    gpu.gpu_submit();
    expect(textOf(await expectEvent(EventKind.error, 0))).toContain('not ready');
    await expectEvent(EventKind.pipelineReady, 1);

    createBuffer(1, 1024, storage);
    createGroup(1, 1, [
      { buffer: 1, offset: 0, size: 256 },
      { buffer: 1, offset: 512, size: 256 },
    ]);
    gpu.gpu_begin();
    gpu.gpu_dispatch(1, 1, 1, 1, 1);
    gpu.gpu_submit();
    await expectEvent(EventKind.error, 0); // one dispatch reads and writes one buffer
    gpu.gpu_read(1, 0, 4, 5); // not map_read
    await expectEventAfterErrors(EventKind.readFailed, 5);
    gpu.gpu_notify_done(3);
    await expectEventAfterErrors(EventKind.workDone, 3);
    gpu.gpu_destroy_buffer(1);
    write(1, [1]);
    expect(textOf(await expectEvent(EventKind.error, 0))).toContain('buffer 1 is destroyed');
    gpu.gpu_notify_done(4);
    await expectEvent(EventKind.workDone, 4);
  });

  it('is silent after destroy()', async () => {
    createBuffer(1, 16, readback);
    gpu.gpu_read(1, 0, 16, 1);
    host.destroy();
    host.destroy();
    await device.lost;
    await new Promise((resolve) => setImmediate(resolve));
    expect(module.events).toEqual([]);
  });
});

describe('matrixSize', () => {
  const config = (
    componentType: string,
    resultComponentType: string,
    M: number,
    N = M,
    K = M,
  ): SubgroupMatrixConfig => ({
    componentType,
    resultComponentType,
    M,
    N,
    K,
  });
  it('is that of the largest square matrices of halves with sums of floats', () => {
    expect(matrixSize([config('f16', 'f16', 32), config('f16', 'f32', 8), config('f16', 'f32', 16)])).toBe(16);
  });
  it('is 0 where there are none', () => {
    expect(matrixSize([config('f16', 'f32', 8, 16, 16), config('i8', 'i32', 8)])).toBe(0);
    expect(matrixSize(undefined)).toBe(0);
  });
});

describe('requestDevice', () => {
  it('keeps to the default limits when asked to', async (context) => {
    const node = await nodeGpu;
    const grant =
      typeof node === 'string' ? node : await requestDevice(node, { defaultLimits: true, noFeatures: true });
    if (typeof grant === 'string') return context.skip(grant);
    expect(grant.device.limits.maxBufferSize).toBe(256 * 1024 * 1024);
    expect(grant.device.limits.maxStorageBuffersPerShaderStage).toBe(8);
    expect(grant.device.features.has('subgroups')).toBe(false);
    expect(grant.device.features.has('shader-f16')).toBe(false);
    expect(grant.integerDotProduct).toBe(false);
    grant.device.destroy();
  });
});
