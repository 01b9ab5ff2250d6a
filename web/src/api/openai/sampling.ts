// A request's fields as options of generate(): the one place that knows both.
import type { SamplingOptions } from '../../runtime/types.js';
import type { SamplingRequest } from './types.js';

/** Of a choice of several: each has a seed of its own. topLogprobs: undefined: none are asked for. */
export function samplingOf(
  request: SamplingRequest & { max_completion_tokens?: number | null },
  choice: number,
  topLogprobs?: number,
): SamplingOptions {
  const options = {
    maxTokens: request.max_completion_tokens ?? request.max_tokens ?? undefined,
    temperature: request.temperature ?? undefined,
    topP: request.top_p ?? undefined,
    topK: request.top_k ?? undefined,
    minP: request.min_p ?? undefined,
    seed: seedOf(request.seed, choice),
    repetitionPenalty: request.repetition_penalty ?? undefined,
    frequencyPenalty: request.frequency_penalty ?? undefined,
    presencePenalty: request.presence_penalty ?? undefined,
    logitBias: request.logit_bias ?? undefined,
    topLogprobs,
  };
  // Only what is given: the engine knows its defaults.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as SamplingOptions;
}

// OpenAI takes negative seeds too.
function seedOf(seed: number | null | undefined, choice: number): number | undefined {
  if (seed === undefined || seed === null) return undefined;
  const positive = seed < 0 ? 2 ** 53 + seed : seed;
  return choice <= Number.MAX_SAFE_INTEGER - positive ? positive + choice : choice;
}
