// The host's half of src/gpu/browser.cpp: the GPU objects behind the ids of src/gpu/device.h, in a browser and in Node.
// Nothing here waits, and no import calls back into the module: what happens is reported from later tasks.

import { BindingType, EventKind, HostDescription, HostRange, Usage } from './abi.js';
import { readStruct, writeStruct } from './struct.js';

// The constants of WebGPU §5.1.2, §5.2 and §8.1, which Node does not have as globals.
const bufferUsages: Record<keyof typeof Usage, GPUBufferUsageFlags> = {
  mapRead: 1,
  copySrc: 4,
  copyDst: 8,
  uniform: 64,
  storage: 128,
};
const mapModeRead = 1;
const shaderStageCompute = 4;

const bindingTypes: Record<BindingType, GPUBufferBindingType> = {
  [BindingType.uniform]: 'uniform',
  [BindingType.storageRead]: 'read-only-storage',
  [BindingType.storageReadWrite]: 'storage',
};

function bufferUsage(bits: number): GPUBufferUsageFlags {
  const names = Object.keys(Usage) as (keyof typeof Usage)[];
  return names.reduce((flags, name) => (bits & Usage[name] ? flags | bufferUsages[name] : flags), 0);
}

export interface GpuRequest {
  forceFallback?: boolean; // only an adapter that runs on the CPU
  defaultLimits?: boolean; // the limits every WebGPU device has, not the adapter's own
  noFeatures?: boolean; // neither shader-f16 nor subgroups, nor what WGSL may have besides
  hardwareOnly?: boolean; // no adapter that runs on the CPU
}

export interface GpuGrant {
  device: GPUDevice;
  info: GPUAdapterInfo;
  integerDotProduct: boolean; // WGSL has packed_4x8_integer_dot_product
}

// Limits that kernels or the plan can use; all others stay at their defaults.
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxUniformBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
  'minStorageBufferOffsetAlignment',
  'minUniformBufferOffsetAlignment',
] as const;

// Not in any standard yet: Chromium has it with --enable-unsafe-webgpu, Dawn in Node with `allow_unsafe_apis`.
const subgroupMatrices = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;
const wantedFeatures: GPUFeatureName[] = ['shader-f16', 'subgroups', subgroupMatrices];

// What Dawn tells of them.
export interface SubgroupMatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** Rows and columns of the largest square matrices of halves whose products are summed up as floats; 0: none. */
export function matrixSize(configs: Iterable<SubgroupMatrixConfig> = []): number {
  const sizes = [...configs]
    .filter((c) => c.componentType === 'f16' && c.resultComponentType === 'f32' && c.M === c.N && c.N === c.K)
    .map((c) => c.M);
  return Math.max(0, ...sizes);
}

const softwareNames = /swiftshader|llvmpipe|lavapipe|softpipe|\bwarp\b|microsoft basic render/i;

/** Whether the CPU does an adapter's work; pronk's own CPU path is many times as fast. */
function isSoftware(adapter: GPUAdapter): boolean {
  const { isFallbackAdapter } = adapter as { isFallbackAdapter?: boolean }; // where browsers told it before `info` did
  const { vendor, architecture, device, description } = adapter.info;
  return (
    (adapter.info.isFallbackAdapter || isFallbackAdapter) === true ||
    softwareNames.test([vendor, architecture, device, description].join(' '))
  );
}

function nameOf({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return description || [vendor, architecture, device].filter((part) => part).join(' ') || 'of no name';
}

/**
 * A device with the adapter's own limits and the features that kernels have variants for; where there is no adapter that
 * the request allows, why.
 */
export async function requestDevice(gpu: GPU, request: GpuRequest = {}): Promise<GpuGrant | string> {
  const adapter = await gpu.requestAdapter({
    powerPreference: 'high-performance',
    forceFallbackAdapter: request.forceFallback ?? false,
  });
  if (!adapter) return 'there is no WebGPU adapter';
  if (request.hardwareOnly && isSoftware(adapter)) {
    return `the only WebGPU adapter is software (${nameOf(adapter.info)})`;
  }
  const requiredLimits: Record<string, number> = {};
  if (!request.defaultLimits) {
    for (const name of wantedLimits) requiredLimits[name] = adapter.limits[name];
  }
  const requiredFeatures = request.noFeatures ? [] : wantedFeatures.filter((name) => adapter.features.has(name));
  const device = await adapter.requestDevice({ label: 'pronk', requiredFeatures, requiredLimits });
  const language = request.noFeatures ? undefined : gpu.wgslLanguageFeatures;
  const integerDotProduct = language?.has('packed_4x8_integer_dot_product') ?? false;
  return { device, info: adapter.info, integerDotProduct };
}

/** What the host needs of the WASM module once it is instantiated. */
export interface GpuModule {
  memory: WebAssembly.Memory;
  /** Queues an event; returns where its `length` bytes go, good until the next call; 0 when nobody listens any more. */
  pronk_gpu_event(kind: number, id: number, length: number): number;
}

interface HostBuffer {
  gpu: GPUBuffer;
  pendingReads: number;
}

interface HostLayout {
  group: GPUBindGroupLayout;
  pipeline: GPUPipelineLayout;
}

interface Uncompiled {
  id: number;
  label: string;
  code: string;
  layout: Promise<string | null>; // of scoped()
}

// Pipelines that are compiled at a time. Each takes a core, and up to 200 MB where the GPU is a CPU (SwiftShader).
const compilers = Math.max(1, Math.min(4, (globalThis.navigator?.hardwareConcurrency ?? 2) >> 1));

const encodeText = new TextEncoder();
const decodeText = new TextDecoder();

// Node's Dawn crashes when writeBuffer() is given shared memory, which WebGPU allows; there it gets a copy.
const { process } = globalThis as { process?: { versions?: { node?: string } } };
const copiesSharedMemory = process?.versions?.node !== undefined;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export class GpuHost {
  private module: GpuModule | null = null;
  private onEvent: () => void = () => {};
  private closed = false;
  private buffersJudged: Promise<unknown> = Promise.resolve(); // once it is known of each buffer whether it was refused

  // Each is indexed by the id of src/gpu/device.h.
  private buffers: (HostBuffer | undefined)[] = [];
  private pipelines: (GPUComputePipeline | undefined)[] = [];
  private pipelineLayouts: (HostLayout | undefined)[] = [];
  private groups: (GPUBindGroup | undefined)[] = [];

  private uncompiled: Uncompiled[] = [];
  private compilersBusy = 0;
  private compilingSince = 0;
  /** Pipelines that were compiled, and milliseconds in which any was. */
  readonly compiled = { pipelines: 0, milliseconds: 0 };
  private layouts = new Map<string, HostLayout>();
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  private setPipeline = 0;
  private setGroup = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly info: GPUAdapterInfo,
    private readonly integerDotProduct = false,
  ) {
    device.addEventListener('uncapturederror', this.uncaptured);
    void device.lost.then((lost) => {
      if (this.closed) return;
      this.report(EventKind.deviceLost, 0, lost.message || `the device was lost (${lost.reason ?? 'unknown'})`);
    });
  }

  /**
   * To be called once, before the module makes its device. onEvent is called after each event, never inside an import;
   * it must not throw.
   */
  attach(module: GpuModule, onEvent: () => void): void {
    this.module = module;
    this.onEvent = onEvent;
  }

  /** The functions of the import module "pronk" that src/gpu/browser.cpp declares. */
  imports() {
    return {
      gpu_describe: (at: number) => this.describe(at),
      gpu_create_buffer: (id: number, size: number, usage: number, label: number, labelSize: number) =>
        this.createBuffer(id, size, usage, this.text(label, labelSize)),
      gpu_destroy_buffer: (id: number) => this.destroyBuffer(id),
      gpu_write_buffer: (id: number, offset: number, at: number, size: number) =>
        this.writeBuffer(id, offset, at, size),
      gpu_create_pipeline: (
        id: number,
        label: number,
        labelSize: number,
        wgsl: number,
        wgslSize: number,
        bindings: number,
        count: number,
      ) =>
        this.createPipeline(
          id,
          this.text(label, labelSize),
          this.text(wgsl, wgslSize),
          Array.from(this.bytes(bindings, count)),
        ),
      gpu_create_bind_group: (id: number, pipeline: number, ranges: number, count: number) =>
        this.createBindGroup(id, pipeline, ranges, count),
      gpu_begin: () => this.begin(),
      gpu_dispatch: (pipeline: number, group: number, x: number, y: number, z: number) =>
        this.dispatch(pipeline, group, x, y, z),
      gpu_copy_buffer: (from: number, fromOffset: number, to: number, toOffset: number, size: number) =>
        this.copyBuffer(from, fromOffset, to, toOffset, size),
      gpu_submit: () => this.submit(),
      gpu_read: (id: number, offset: number, size: number, ticket: number) => this.read(id, offset, size, ticket),
      gpu_notify_done: (ticket: number) => this.notifyDone(ticket),
      gpu_now: () => performance.now(),
    };
  }

  /** Whether pipelines are still to come. */
  get compiling(): boolean {
    return this.compilersBusy + this.uncompiled.length > 0;
  }

  /** Frees all memory on the GPU; nothing is reported afterwards. */
  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.device.removeEventListener('uncapturederror', this.uncaptured);
    for (const buffer of this.buffers) buffer?.gpu.destroy();
    this.buffers = [];
    this.pipelines = [];
    this.pipelineLayouts = [];
    this.groups = [];
    this.layouts.clear();
    this.uncompiled = [];
    this.encoder = null;
    this.pass = null;
    this.module = null;
    this.device.destroy();
  }

  // --- memory of the module ------------------------------------------------------------------------------------------
  // Views are made at each use: the memory may have grown since.

  private bytes(at: number, size: number): Uint8Array<ArrayBuffer> {
    if (!this.module) throw new Error('GpuHost: an import was called before attach() or after destroy()');
    return new Uint8Array(this.module.memory.buffer as ArrayBuffer, at >>> 0, size >>> 0);
  }

  private text(at: number, size: number): string {
    return decodeText.decode(this.bytes(at, size).slice()); // a copy: decode() refuses shared memory
  }

  // --- events --------------------------------------------------------------------------------------------------------

  // What was done with a refused buffer fails too: the refusal is to be told first.
  private readonly uncaptured = ({ error }: GPUUncapturedErrorEvent): void => {
    void this.buffersJudged.then(() => this.report(EventKind.error, 0, error.message));
  };

  private report(kind: EventKind, id: number, payload: string | Uint8Array = ''): void {
    if (this.closed || !this.module) return;
    const bytes = typeof payload === 'string' ? encodeText.encode(payload) : payload;
    const at = this.module.pronk_gpu_event(kind, id, bytes.length);
    if (at !== 0 && bytes.length > 0) this.bytes(at, bytes.length).set(bytes);
    this.onEvent();
  }

  /** For what goes wrong inside an import: the module is on the stack and must not be called. */
  private reportLater(kind: EventKind, id: number, message: string): void {
    queueMicrotask(() => this.report(kind, id, message));
  }

  private bufferOf(id: number, call: string): HostBuffer | undefined {
    const buffer = this.buffers[id];
    if (!buffer) this.reportLater(EventKind.error, 0, `${call}: buffer ${id} is destroyed or was refused`);
    return buffer;
  }

  /** Runs `create` inside error scopes; resolves to its text of failure, null when all went well. */
  private async scoped(create: () => void): Promise<string | null> {
    const filters: GPUErrorFilter[] = ['internal', 'out-of-memory', 'validation'];
    for (const filter of filters) this.device.pushErrorScope(filter);
    let thrown: string | null = null;
    try {
      create();
    } catch (error) {
      thrown = messageOf(error); // a value that WebIDL refuses, such as a size over 2^53
    }
    // A lost device may refuse even this; its loss is reported apart.
    const caught = await Promise.all(filters.map(() => this.device.popErrorScope().catch(() => null)));
    return thrown ?? caught.find((error) => error !== null)?.message ?? null;
  }

  // --- imports -------------------------------------------------------------------------------------------------------

  private describe(at: number): number {
    const { limits, features } = this.device;
    const info = this.info as GPUAdapterInfo & {
      subgroupMinSize?: number;
      subgroupMaxSize?: number;
      subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig>;
    };
    const subgroups = features.has('subgroups');
    writeStruct(this.bytes(at, HostDescription.bytes), HostDescription, {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxUniformBufferBindingSize: limits.maxUniformBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
      minStorageBufferOffsetAlignment: limits.minStorageBufferOffsetAlignment,
      minUniformBufferOffsetAlignment: limits.minUniformBufferOffsetAlignment,
      shaderF16: features.has('shader-f16') ? 1 : 0,
      subgroups: subgroups ? 1 : 0,
      integerDotProduct: this.integerDotProduct ? 1 : 0,
      subgroupMinSize: subgroups ? (info.subgroupMinSize ?? 0) : 0,
      subgroupMaxSize: subgroups ? (info.subgroupMaxSize ?? 0) : 0,
      subgroupMatrix: features.has(subgroupMatrices) ? matrixSize(info.subgroupMatrixConfigs) : 0,
      vendor: info.vendor ?? '',
      architecture: info.architecture ?? '',
      device: info.device ?? '',
      description: info.description ?? '',
    });
    return 1;
  }

  private createBuffer(id: number, size: number, usage: number, label: string): void {
    const flags = bufferUsage(usage);
    const failure = this.scoped(() => {
      this.buffers[id] = { gpu: this.device.createBuffer({ label, size, usage: flags }), pendingReads: 0 };
    });
    const judged = failure.then((text) => {
      if (text === null || this.closed) return;
      this.buffers[id]?.gpu.destroy();
      this.buffers[id] = undefined;
      this.report(EventKind.bufferFailed, id, text);
    });
    this.buffersJudged = Promise.all([this.buffersJudged, judged]);
  }

  private destroyBuffer(id: number): void {
    this.buffers[id]?.gpu.destroy();
    this.buffers[id] = undefined;
  }

  private writeBuffer(id: number, offset: number, at: number, size: number): void {
    const buffer = this.bufferOf(id, 'write_buffer');
    if (!buffer) return;
    const bytes = this.bytes(at, size);
    const shared = copiesSharedMemory && !(bytes.buffer instanceof ArrayBuffer);
    try {
      this.device.queue.writeBuffer(buffer.gpu, offset, shared ? bytes.slice() : bytes);
    } catch (error) {
      this.reportLater(EventKind.error, 0, `write_buffer: ${messageOf(error)}`);
    }
  }

  private layoutOf(bindings: number[]): HostLayout {
    const key = bindings.join();
    let layout = this.layouts.get(key);
    if (!layout) {
      const entries = bindings.map((type, binding) => ({
        binding,
        visibility: shaderStageCompute,
        buffer: { type: bindingTypes[type as BindingType] },
      }));
      const group = this.device.createBindGroupLayout({ entries });
      layout = { group, pipeline: this.device.createPipelineLayout({ bindGroupLayouts: [group] }) };
      this.layouts.set(key, layout);
    }
    return layout;
  }

  private createPipeline(id: number, label: string, code: string, bindings: number[]): void {
    const layout = this.scoped(() => {
      this.pipelineLayouts[id] = this.layoutOf(bindings);
    });
    this.uncompiled.push({ id, label, code, layout });
    if (this.compilersBusy < compilers) void this.compileNext();
  }

  private async compileNext(): Promise<void> {
    const next = this.uncompiled.shift();
    if (!next || this.closed) return;
    if (this.compilersBusy++ === 0) this.compilingSince = performance.now();
    const failure = await this.compile(next);
    if (--this.compilersBusy === 0) this.compiled.milliseconds += performance.now() - this.compilingSince;
    if (failure === null) this.compiled.pipelines++;
    if (this.closed) return;
    void this.compileNext();
    if (failure === null) this.report(EventKind.pipelineReady, next.id);
    else this.report(EventKind.pipelineFailed, next.id, failure);
  }

  /** The text of its failure, null when all went well. */
  private async compile({ id, label, code, layout }: Uncompiled): Promise<string | null> {
    const texts = [await layout];
    const made: { module?: GPUShaderModule; pipeline?: Promise<GPUComputePipeline> } = {};
    const failure = this.scoped(() => {
      made.module = this.device.createShaderModule({ label, code });
      made.pipeline = this.device.createComputePipelineAsync({
        label,
        layout: this.pipelineLayouts[id]!.pipeline,
        compute: { module: made.module, entryPoint: 'main' },
      });
      made.pipeline.catch(() => {}); // awaited below; here only so that it is never an unhandled rejection
    });
    texts.push(await failure);
    try {
      this.pipelines[id] = await made.pipeline;
    } catch (error) {
      texts.push(messageOf(error));
    }
    if (texts.every((text) => text === null)) return null;
    this.pipelines[id] = undefined;
    texts.unshift(await this.compilerMessages(made.module ?? null));
    return texts.filter((text) => text).join('\n');
  }

  /** The compiler's own text, a line a message: `line:column type: text`. */
  private async compilerMessages(module: GPUShaderModule | null): Promise<string> {
    if (!module) return '';
    try {
      const { messages } = await module.getCompilationInfo();
      return messages.map((m) => `${m.lineNum}:${m.linePos} ${m.type}: ${m.message}`).join('\n');
    } catch {
      return ''; // the device was lost meanwhile
    }
  }

  private createBindGroup(id: number, pipeline: number, at: number, count: number): void {
    const layout = this.pipelineLayouts[pipeline];
    if (!layout) {
      this.reportLater(EventKind.error, 0, `create_bind_group: pipeline ${pipeline} has no layout`);
      return;
    }
    const memory = this.bytes(at, HostRange.bytes * count);
    const entries: GPUBindGroupEntry[] = [];
    for (let binding = 0; binding < count; binding++) {
      const range = readStruct(memory.subarray(HostRange.bytes * binding), HostRange);
      const buffer = this.bufferOf(range.buffer, 'create_bind_group');
      if (!buffer) return;
      entries.push({ binding, resource: { buffer: buffer.gpu, offset: range.offset, size: range.size } });
    }
    this.groups[id] = this.device.createBindGroup({ layout: layout.group, entries });
  }

  private begin(): void {
    this.encoder = this.device.createCommandEncoder();
  }

  private dispatch(pipeline: number, group: number, x: number, y: number, z: number): void {
    const gpuPipeline = this.pipelines[pipeline];
    const gpuGroup = this.groups[group];
    if (!this.encoder || !gpuPipeline || !gpuGroup) {
      this.reportLater(EventKind.error, 0, `dispatch: pipeline ${pipeline} or bind group ${group} is not ready`);
      return;
    }
    if (!this.pass) {
      this.pass = this.encoder.beginComputePass();
      this.setPipeline = 0;
      this.setGroup = 0;
    }
    if (this.setPipeline !== pipeline) this.pass.setPipeline(gpuPipeline);
    if (this.setGroup !== group) this.pass.setBindGroup(0, gpuGroup);
    this.setPipeline = pipeline;
    this.setGroup = group;
    this.pass.dispatchWorkgroups(x >>> 0, y >>> 0, z >>> 0);
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = null;
  }

  private copyBuffer(from: number, fromOffset: number, to: number, toOffset: number, size: number): void {
    const source = this.bufferOf(from, 'copy_buffer');
    const target = this.bufferOf(to, 'copy_buffer');
    if (!this.encoder || !source || !target) return;
    this.endPass();
    this.encoder.copyBufferToBuffer(source.gpu, fromOffset, target.gpu, toOffset, size);
  }

  private submit(): void {
    if (!this.encoder) return;
    this.endPass();
    this.device.queue.submit([this.encoder.finish()]);
    this.encoder = null;
  }

  private read(id: number, offset: number, size: number, ticket: number): void {
    const buffer = this.buffers[id];
    if (!buffer || buffer.pendingReads > 0) {
      const why = buffer ? 'has a read pending' : 'is destroyed or was refused';
      this.reportLater(EventKind.readFailed, ticket, `read: buffer ${id} ${why}`);
      return;
    }
    buffer.pendingReads++;
    void this.finishRead(buffer, offset, size, ticket);
  }

  private async finishRead(buffer: HostBuffer, offset: number, size: number, ticket: number): Promise<void> {
    let result: Uint8Array | string;
    try {
      await buffer.gpu.mapAsync(mapModeRead, offset, size);
      result = new Uint8Array(buffer.gpu.getMappedRange(offset, size)).slice();
      buffer.gpu.unmap();
    } catch (error) {
      result = messageOf(error);
    }
    buffer.pendingReads--;
    this.report(typeof result === 'string' ? EventKind.readFailed : EventKind.readDone, ticket, result);
  }

  private notifyDone(ticket: number): void {
    this.device.queue.onSubmittedWorkDone().then(
      () => this.report(EventKind.workDone, ticket),
      (error: unknown) => this.report(EventKind.error, 0, `waiting for submitted work failed: ${messageOf(error)}`),
    );
  }
}
