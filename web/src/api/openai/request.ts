// What a request may hold. Each refusal names its field.
import { PronkError } from '../../runtime/errors.js';
import type { ChatRequest, CompletionRequest, EmbeddingRequest, SamplingRequest } from './types.js';

/** A field of a request that cannot be used. */
export class FieldError extends PronkError {
  constructor(
    readonly field: string,
    why: string,
    options?: ErrorOptions,
  ) {
    super('bad-argument', `${field}: ${why}`, options);
  }
}

const samplingFields: Record<keyof SamplingRequest, true> = {
  model: true,
  max_tokens: true,
  temperature: true,
  top_p: true,
  top_k: true,
  min_p: true,
  seed: true,
  n: true,
  stop: true,
  logit_bias: true,
  frequency_penalty: true,
  presence_penalty: true,
  repetition_penalty: true,
  stream: true,
  stream_options: true,
  user: true,
};

export const chatFields: Record<keyof ChatRequest, true> = {
  ...samplingFields,
  messages: true,
  max_completion_tokens: true,
  logprobs: true,
  top_logprobs: true,
  response_format: true,
  tools: true,
  tool_choice: true,
  parallel_tool_calls: true,
  enable_thinking: true,
  chat_template: true,
  chat_template_kwargs: true,
};
export const completionFields: Record<keyof CompletionRequest, true> = {
  ...samplingFields,
  prompt: true,
  logprobs: true,
};
export const embeddingFields: Record<keyof EmbeddingRequest, true> = {
  input: true,
  model: true,
  encoding_format: true,
  user: true,
};

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The request without the fields that are null, which count as not given. */
export function checkFields<T extends object>(request: T, known: Record<keyof T, true>): T {
  if (!isObject(request)) throw new PronkError('bad-argument', `the request is ${String(request)}, not an object`);
  const given = Object.entries(request).filter(([, value]) => value !== undefined && value !== null);
  for (const [name] of given) if (!Object.hasOwn(known, name)) throw new FieldError(name, 'is not supported');
  return Object.fromEntries(given) as T;
}

function ranged(request: object, field: string, low: number, high: number, whole = false): void {
  const value = (request as Record<string, unknown>)[field];
  if (value === undefined) return;
  const good = typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value));
  if (good) return;
  const kind = whole ? 'a whole number' : 'a number';
  throw new FieldError(field, `is ${show(value)}, not ${kind} from ${low} to ${high}`);
}

/** A value as an error shows it. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

export function checkType(request: object, field: string, type: 'boolean' | 'string'): void {
  const value = (request as Record<string, unknown>)[field];
  if (value !== undefined && typeof value !== type) throw new FieldError(field, `is ${show(value)}, not a ${type}`);
}

const mostChoices = 128;
const mostStops = 16;
const mostTokens = 2 ** 31 - 1;

export function checkSamplingFields(request: SamplingRequest): void {
  ranged(request, 'max_tokens', 1, mostTokens, true);
  ranged(request, 'max_completion_tokens', 1, mostTokens, true);
  ranged(request, 'temperature', 0, 2);
  ranged(request, 'top_p', 0, 1);
  ranged(request, 'top_k', 0, mostTokens, true);
  ranged(request, 'min_p', 0, 1);
  ranged(request, 'seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, true);
  ranged(request, 'n', 1, mostChoices, true);
  ranged(request, 'frequency_penalty', -2, 2);
  ranged(request, 'presence_penalty', -2, 2);
  ranged(request, 'repetition_penalty', 0.01, 10);
  checkType(request, 'stream', 'boolean');
  checkType(request, 'model', 'string');
  checkType(request, 'user', 'string');
  checkBias(request.logit_bias);
  checkStreamOptions(request);
  stopsOf(request);
}

function checkBias(bias: unknown): void {
  if (bias === undefined) return;
  if (!isObject(bias)) throw new FieldError('logit_bias', `is ${show(bias)}, not an object`);
  for (const [token, value] of Object.entries(bias)) {
    if (!/^\d{1,9}$/.test(token)) throw new FieldError('logit_bias', `${show(token)} is not a token's number`);
    ranged({ [`logit_bias.${token}`]: value }, `logit_bias.${token}`, -100, 100);
  }
}

function checkStreamOptions({ stream, stream_options: options }: SamplingRequest): void {
  if (options === undefined || options === null) return;
  if (!isObject(options)) throw new FieldError('stream_options', `is ${show(options)}, not an object`);
  if (!stream) throw new FieldError('stream_options', 'is only for streams');
  for (const name of Object.keys(options)) {
    if (name !== 'include_usage') throw new FieldError(`stream_options.${name}`, 'is not supported');
  }
  checkType(options, 'include_usage', 'boolean');
}

export function stopsOf({ stop }: SamplingRequest): string[] {
  if (stop === undefined || stop === null) return [];
  const stops = typeof stop === 'string' ? [stop] : stop;
  const good = Array.isArray(stops) && stops.every((each) => typeof each === 'string' && each !== '');
  if (!good) throw new FieldError('stop', `is ${show(stop)}, not a text or a list of texts`);
  if (stops.length > mostStops) throw new FieldError('stop', `has ${stops.length} texts; ${mostStops} are the most`);
  return stops;
}

/** Tokens to be told at each place; undefined: none of it. */
export function topLogprobsOf({ logprobs, top_logprobs: top }: ChatRequest): number | undefined {
  checkType({ logprobs }, 'logprobs', 'boolean');
  ranged({ top_logprobs: top ?? undefined }, 'top_logprobs', 0, 20, true);
  if (top !== undefined && !logprobs) throw new FieldError('top_logprobs', 'wants logprobs to be true');
  return logprobs ? (top ?? 0) : undefined;
}

export function legacyLogprobsOf(request: CompletionRequest): number | undefined {
  ranged(request, 'logprobs', 0, 5, true);
  return request.logprobs ?? undefined;
}
