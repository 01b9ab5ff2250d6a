// The module's JSON (src/wasm/abi.h) as the package's types.
import { PronkError } from './errors.js';
import type { Counters, Plan, PlanMemory, Stats } from './types.js';

type Json = Record<string, unknown>;

function numberOf(json: Json, key: string): number {
  const value = json[key];
  if (typeof value !== 'number') throw new PronkError('internal', `the engine gave no number '${key}'`);
  return value;
}

function textOf(json: Json, key: string): string {
  const value = json[key];
  return typeof value === 'string' ? value : '';
}

function objectOf(json: Json, key: string): Json {
  const value = json[key];
  if (typeof value !== 'object' || value === null)
    throw new PronkError('internal', `the engine gave no object '${key}'`);
  return value as Json;
}

// In a plan `parameters` is the number of weights; where it is bytes nothing else is named so.
function memoryOf(json: Json): PlanMemory {
  return {
    weights: numberOf(json, 'weights'),
    kvCache: numberOf(json, 'kv_cache'),
    activations: numberOf(json, 'activations'),
    parameters: numberOf(json, 'parameters_bytes' in json ? 'parameters_bytes' : 'parameters'),
    staging: numberOf(json, 'staging'),
    readback: numberOf(json, 'readback'),
    total: numberOf(json, 'total'),
  };
}

/** What a plan has that is not in the module's JSON. */
type HostPlan = Pick<Plan, 'device' | 'threads' | 'chat' | 'memoryBudget'>;

export function planFromJson(json: Json, host: HostPlan): Plan {
  return {
    ...host,
    fits: json['fits'] === true,
    refusal: textOf(json, 'refusal'),
    architecture: textOf(json, 'architecture'),
    name: textOf(json, 'name'),
    contextLength: numberOf(json, 'context_length'),
    trainedContextLength: numberOf(json, 'trained_context_length'),
    largestContext: numberOf(json, 'largest_context'),
    vocabSize: numberOf(json, 'vocab_size'),
    parameters: numberOf(json, 'parameters'),
    fileBytes: numberOf(json, 'file_bytes'),
    memory: memoryOf(json),
    activationsLowerBound: numberOf(json, 'activations_lower_bound'),
  };
}

function countersFromJson(json: Json): Counters {
  return {
    dispatchesPerToken: numberOf(json, 'dispatches_per_token'),
    submitsPerToken: numberOf(json, 'submits_per_token'),
    buffersCreatedAfterLoad: numberOf(json, 'buffers_created_after_load'),
    bindGroupsCreatedAfterLoad: numberOf(json, 'bind_groups_created_after_load'),
    pipelinesCreatedAfterLoad: numberOf(json, 'pipelines_created_after_load'),
    readbackBytesPerToken: numberOf(json, 'readback_bytes_per_token'),
  };
}

export function statsFromJson(
  json: Json,
  host: Pick<Stats, 'threads' | 'pipelines' | 'compileMs'>,
): Omit<Stats, 'recoveries' | 'sessionBytes'> {
  return {
    ...host,
    promptTokens: numberOf(json, 'prompt_tokens'),
    generatedTokens: numberOf(json, 'generated_tokens'),
    reusedTokens: numberOf(json, 'reused_tokens'),
    counters: countersFromJson(objectOf(json, 'counters')),
    allocated: memoryOf(objectOf(json, 'allocated')),
    heapBytes: numberOf(json, 'heap_bytes'),
  };
}
