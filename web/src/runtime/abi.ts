// Made by tests/wasm/abi_test.cpp from the declarations in C++; not to be edited. The numbers and structs that
// pass between the WASM module and its host.

export const ErrorCode = {
  unspecified: 0,
  badModel: 1,
  unsupported: 2,
  outOfMemory: 3,
  badArgument: 4,
  noDevice: 5,
  wrongGpu: 6,
  deviceLost: 7,
  deviceFailed: 8,
  internal: 9,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

export const State = {
  failed: -1,
  empty: 0,
  loading: 1,
  ready: 2,
  busy: 3,
  again: 4,
  mask: 5,
} as const;
export type State = (typeof State)[keyof typeof State];

export const Next = {
  none: 0,
  token: 1,
  end: 2,
} as const;
export type Next = (typeof Next)[keyof typeof Next];

export const EmbeddingState = {
  none: 0,
  done: 1,
} as const;
export type EmbeddingState = (typeof EmbeddingState)[keyof typeof EmbeddingState];

export const SavedState = {
  none: 0,
  bytes: 1,
  all: 2,
} as const;
export type SavedState = (typeof SavedState)[keyof typeof SavedState];

export const DeviceKind = {
  cpu: 0,
  gpu: 1,
} as const;
export type DeviceKind = (typeof DeviceKind)[keyof typeof DeviceKind];

export const KvKind = {
  f16: 0,
  f32: 1,
  q8: 2,
  q4: 3,
} as const;
export type KvKind = (typeof KvKind)[keyof typeof KvKind];

export const TokenizeFlags = {
  special: 1,
  bos: 2,
  noBos: 4,
} as const;
export type TokenizeFlags = (typeof TokenizeFlags)[keyof typeof TokenizeFlags];

export const SpecialToken = {
  bos: 0,
  eos: 1,
} as const;
export type SpecialToken = (typeof SpecialToken)[keyof typeof SpecialToken];

export const PoolingKind = {
  auto: 0,
  mean: 1,
  cls: 2,
  last: 3,
  none: 4,
} as const;
export type PoolingKind = (typeof PoolingKind)[keyof typeof PoolingKind];

export const Context = {
  default: 0,
  largest: 4294967295,
} as const;
export type Context = (typeof Context)[keyof typeof Context];

export const Finish = {
  length: 0,
  endToken: 1,
  cancelled: 2,
  contextFull: 3,
} as const;
export type Finish = (typeof Finish)[keyof typeof Finish];

export const EventKind = {
  pipelineReady: 0,
  pipelineFailed: 1,
  bufferFailed: 2,
  readDone: 3,
  readFailed: 4,
  workDone: 5,
  error: 6,
  deviceLost: 7,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

export const Usage = {
  storage: 1,
  uniform: 2,
  copySrc: 4,
  copyDst: 8,
  mapRead: 16,
} as const;
export type Usage = (typeof Usage)[keyof typeof Usage];

export const BindingType = {
  uniform: 0,
  storageRead: 1,
  storageReadWrite: 2,
} as const;
export type BindingType = (typeof BindingType)[keyof typeof BindingType];

export const HostDescription = {
  bytes: 592,
  fields: {
    maxBufferSize: { type: 'f64', offset: 0, bytes: 8 },
    maxStorageBufferBindingSize: { type: 'f64', offset: 8, bytes: 8 },
    maxUniformBufferBindingSize: { type: 'f64', offset: 16, bytes: 8 },
    maxStorageBuffersPerShaderStage: { type: 'u32', offset: 24, bytes: 4 },
    maxComputeWorkgroupStorageSize: { type: 'u32', offset: 28, bytes: 4 },
    maxComputeInvocationsPerWorkgroup: { type: 'u32', offset: 32, bytes: 4 },
    maxComputeWorkgroupSizeX: { type: 'u32', offset: 36, bytes: 4 },
    maxComputeWorkgroupsPerDimension: { type: 'u32', offset: 40, bytes: 4 },
    minStorageBufferOffsetAlignment: { type: 'u32', offset: 44, bytes: 4 },
    minUniformBufferOffsetAlignment: { type: 'u32', offset: 48, bytes: 4 },
    shaderF16: { type: 'u32', offset: 52, bytes: 4 },
    subgroups: { type: 'u32', offset: 56, bytes: 4 },
    integerDotProduct: { type: 'u32', offset: 60, bytes: 4 },
    subgroupMinSize: { type: 'u32', offset: 64, bytes: 4 },
    subgroupMaxSize: { type: 'u32', offset: 68, bytes: 4 },
    subgroupMatrix: { type: 'u32', offset: 72, bytes: 4 },
    vendor: { type: 'text', offset: 76, bytes: 128 },
    architecture: { type: 'text', offset: 204, bytes: 128 },
    device: { type: 'text', offset: 332, bytes: 128 },
    description: { type: 'text', offset: 460, bytes: 128 },
  },
} as const;

export const HostRange = {
  bytes: 24,
  fields: {
    offset: { type: 'f64', offset: 0, bytes: 8 },
    size: { type: 'f64', offset: 8, bytes: 8 },
    buffer: { type: 'u32', offset: 16, bytes: 4 },
    unused: { type: 'u32', offset: 20, bytes: 4 },
  },
} as const;

export const FolderTensor = {
  bytes: 88,
  fields: {
    offset: { type: 'f64', offset: 0, bytes: 8 },
    bytes: { type: 'f64', offset: 8, bytes: 8 },
    firstOffset: { type: 'f64', offset: 16, bytes: 8 },
    firstBytes: { type: 'f64', offset: 24, bytes: 8 },
    secondOffset: { type: 'f64', offset: 32, bytes: 8 },
    secondBytes: { type: 'f64', offset: 40, bytes: 8 },
    added: { type: 'f64', offset: 48, bytes: 8 },
    firstFile: { type: 'u32', offset: 56, bytes: 4 },
    secondFile: { type: 'u32', offset: 60, bytes: 4 },
    unit: { type: 'u32', offset: 64, bytes: 4 },
    firstUnit: { type: 'u32', offset: 68, bytes: 4 },
    secondUnit: { type: 'u32', offset: 72, bytes: 4 },
    type: { type: 'u32', offset: 76, bytes: 4 },
    stored: { type: 'u32', offset: 80, bytes: 4 },
    row: { type: 'u32', offset: 84, bytes: 4 },
  },
} as const;
