// One answer of the model: its pieces up to a stop text, with what they cost.
import type { Piece } from '../../runtime/types.js';
import type { GenerateOptions } from '../engine.js';
import type { TextEngine } from './engine.js';
import type { TokenTexts } from './logprobs.js';
import { StopFilter } from './stop.js';
import type { TokenLogprob, Usage } from './types.js';

export interface AnswerJob {
  tokens: number[];
  options: GenerateOptions;
  stops: string[];
  /** Spellings of control tokens, which the engine shows as nothing. */
  hidden: ReadonlyMap<number, string>;
}

/** Text that can be shown, and the tokens that came since the last. */
export interface Shown {
  text: string;
  logprobs: TokenLogprob[];
}

/** How an answer ended; filled when it has. */
export interface AnswerEnd {
  finish: 'stop' | 'length';
  completionTokens: number;
  cachedTokens: number;
}

export async function* answer(
  engine: TextEngine,
  { tokens, options, stops, hidden }: AnswerJob,
  texts: TokenTexts,
): AsyncGenerator<Shown, AnswerEnd, void> {
  const generation = engine.generate(tokens, options);
  const filter = new StopFilter(stops);
  let completionTokens = 0;
  for await (const piece of generation) {
    if (piece.token !== null) completionTokens++;
    const text = filter.push(spelled(piece, hidden));
    const { token, logprobs: scores } = piece;
    const logprobs = scores && token !== null ? [await texts.logprob(token, scores)] : [];
    if (text !== '' || logprobs.length > 0) yield { text, logprobs };
    if (filter.stopped) break;
  }
  const rest = filter.end();
  if (rest !== '') yield { text: rest, logprobs: [] };
  const { finishReason, reusedTokens } = await generation.result;
  const full = !filter.stopped && (finishReason === 'length' || finishReason === 'context-full');
  return { finish: full ? 'length' : 'stop', completionTokens, cachedTokens: reusedTokens };
}

function spelled({ text, token }: Piece, hidden: ReadonlyMap<number, string>): string {
  return text === '' && token !== null ? (hidden.get(token) ?? '') : text;
}

export function usageOf(promptTokens: number, ends: readonly AnswerEnd[]): Usage {
  const made = ends.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: made,
    total_tokens: promptTokens + made,
    prompt_tokens_details: { cached_tokens: ends[0]?.cachedTokens ?? 0 },
  };
}
