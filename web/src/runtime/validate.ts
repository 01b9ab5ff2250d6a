// What a caller gives, checked before it reaches the module.
import { PronkError } from './errors.js';
import type { Constraint, EmbeddingOptions, EngineOptions, SamplingOptions } from './types.js';

function bad(message: string): PronkError {
  return new PronkError('bad-argument', message);
}

function inRange(name: string, value: number, low: number, high: number): number {
  if (typeof value !== 'number' || !(value >= low && value <= high)) {
    throw bad(`${name} is ${String(value)}, not a number from ${low} to ${high}`);
  }
  return value;
}

function whole(name: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw bad(`${name} is ${String(value)}, not a whole number from ${low} to ${high}`);
  }
  return value;
}

function oneOf<T extends string>(name: string, value: T | undefined, choices: readonly T[]): void {
  if (value !== undefined && !choices.includes(value)) {
    const known = choices.length > 1 ? `one of ${choices.join(', ')}` : `a number or '${choices[0]}'`;
    throw bad(`${name} is '${String(value)}', not ${known}`);
  }
}

/** known: all that there are, so that the compiler finds a list that has fallen behind. */
export function checkNames<T extends object>(what: string, options: T, known: Record<keyof T, true>): void {
  if (typeof options !== 'object' || options === null) throw bad(`${what} are ${String(options)}, not an object`);
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  throw bad(`there is no option '${unknown}'; the ${what} are ${Object.keys(known).join(', ')}`);
}

export function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw bad(`${name} is ${String(value)}, not a text`);
}

function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw bad(`${name} is ${String(value)}, not true or false`);
}

/** The ids as a plain array. */
export function tokensOf(name: string, value: ArrayLike<number>): number[] {
  if (typeof value === 'object' && typeof value?.length === 'number') return Array.from(value);
  throw bad(`${name} is ${String(value)}, not an array of tokens`);
}

/** Each a text, or tokens as a plain array. */
export function textsOf(name: string, value: readonly (string | ArrayLike<number>)[]): (string | number[])[] {
  if (!Array.isArray(value)) throw bad(`${name} are ${String(value)}, not an array`);
  return value.map((text: string | ArrayLike<number>, i) =>
    typeof text === 'string' ? text : tokensOf(`text ${i}`, text),
  );
}

const mostThreads = 64;

export function checkEngineOptions(options: EngineOptions): void {
  const { contextSize, memoryBudget, threads } = options;
  if (typeof contextSize === 'string') oneOf('contextSize', contextSize, ['auto']);
  else if (contextSize !== undefined) whole('contextSize', contextSize, 1, 2 ** 31 - 1);
  if (memoryBudget !== undefined) whole('memoryBudget', memoryBudget, 1, Number.MAX_SAFE_INTEGER);
  if (threads !== undefined) whole('threads', threads, 1, mostThreads);
  oneOf('device', options.device, ['auto', 'webgpu', 'cpu']);
  if (options.wasmUrl !== undefined) checkText('wasmUrl', options.wasmUrl);
  checkKv(options.kv);
  checkFlag('embeddings', options.embeddings);
}

/** Of measuring. */
export function checkSeconds(seconds: number): void {
  inRange('seconds', seconds, 1, 36000);
}

const kvTypes = ['f16', 'f32', 'q8_0', 'q4_0'] as const;

function checkKv(kv: EngineOptions['kv']): void {
  if (typeof kv !== 'object') return oneOf('kv', kv, kvTypes);
  const { keys, values } = kv ?? {}; // null is an object too
  if (keys === undefined || values === undefined) throw bad('kv wants a type, or an object with keys and values');
  oneOf('kv.keys', keys, kvTypes);
  oneOf('kv.values', values, kvTypes);
}

/** All that a generation is told; topLogprobs: null for none, logitBias: pairs of an id and a bias. */
export interface Sampling extends Required<Omit<SamplingOptions, 'logitBias' | 'topLogprobs'>> {
  logitBias: [number, number][];
  topLogprobs: number | null;
}

function checkBias(logitBias: SamplingOptions['logitBias'], vocabSize: number): [number, number][] {
  if (logitBias === undefined) return [];
  if (typeof logitBias !== 'object' || logitBias === null || Array.isArray(logitBias)) {
    throw bad(`logitBias is ${String(logitBias)}, not an object of token ids and biases`);
  }
  return Object.entries(logitBias).map(([token, bias]) => {
    const id = /^\d+$/.test(token) ? Number(token) : Number.NaN;
    if (!(id < vocabSize)) throw bad(`logitBias names token '${token}', not an id from 0 to ${vocabSize - 1}`);
    return [id, inRange(`logitBias[${token}]`, bias, -100, 100)];
  });
}

export function checkSampling(options: SamplingOptions, contextLength: number, vocabSize: number): Sampling {
  return {
    maxTokens: whole('maxTokens', options.maxTokens ?? contextLength, 1, 2 ** 31 - 1),
    temperature: inRange('temperature', options.temperature ?? 0.8, 0, 100),
    topK: whole('topK', options.topK ?? 40, 0, 2 ** 31 - 1),
    topP: inRange('topP', options.topP ?? 0.95, 0, 1),
    minP: inRange('minP', options.minP ?? 0.05, 0, 1),
    seed: whole('seed', options.seed ?? Math.floor(Math.random() * 2 ** 53), 0, Number.MAX_SAFE_INTEGER),
    ignoreEos: options.ignoreEos ?? false,
    repetitionPenalty: inRange('repetitionPenalty', options.repetitionPenalty ?? 1, 0.01, 100),
    frequencyPenalty: inRange('frequencyPenalty', options.frequencyPenalty ?? 0, -2, 2),
    presencePenalty: inRange('presencePenalty', options.presencePenalty ?? 0, -2, 2),
    logitBias: checkBias(options.logitBias, vocabSize),
    topLogprobs: options.topLogprobs === undefined ? null : whole('topLogprobs', options.topLogprobs, 0, 20),
  };
}

export function checkConstraint(constraint: Constraint): void {
  if (typeof constraint !== 'object' || constraint === null)
    throw bad(`constraint is ${String(constraint)}, not an object`);
  oneOf('constraint.kind', constraint.kind, ['json', 'schema', 'grammar']);
  if (constraint.kind === 'grammar') checkText('constraint.grammar', constraint.grammar);
  if (constraint.kind === 'schema' && (typeof constraint.schema !== 'object' || constraint.schema === null)) {
    throw bad(`constraint.schema is ${String(constraint.schema)}, not an object`);
  }
  if (constraint.after !== undefined) whole('constraint.after', constraint.after, 0, 2 ** 32 - 1);
}

export function checkEmbedding(options: EmbeddingOptions): Required<EmbeddingOptions> {
  const { pooling = 'auto', normalize = false } = options;
  oneOf('pooling', pooling, ['auto', 'mean', 'cls', 'last', 'none']);
  checkFlag('normalize', normalize);
  return { pooling, normalize };
}

export function checkIds(ids: readonly number[]): void {
  if (!Array.isArray(ids) && !ArrayBuffer.isView(ids)) throw bad('tokens are to be an array of ids');
  for (const id of ids) whole('a token', id, 0, 2 ** 32 - 1);
}
