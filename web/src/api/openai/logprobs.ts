// Probabilities of tokens, in OpenAI's form.
import type { Piece } from '../../runtime/types.js';
import type { TextEngine } from './engine.js';
import type { TokenLogprob, TopLogprob } from './types.js';

/** What generate() gives beside a token where topLogprobs were asked for. */
export interface TokenScores {
  logprob: number;
  top: { token: number; logprob: number }[];
}

export const scoresOf = (piece: Piece): TokenScores | undefined => (piece as { logprobs?: TokenScores }).logprobs;

/** Spells tokens; each is asked for once. */
export class TokenTexts {
  private readonly texts = new Map<number, Promise<string>>();

  constructor(private readonly engine: TextEngine) {}

  async logprob(token: number, { logprob, top }: TokenScores): Promise<TokenLogprob> {
    const likely = await Promise.all(top.map((each) => this.entry(each.token, each.logprob)));
    return { ...(await this.entry(token, logprob)), top_logprobs: likely };
  }

  private async entry(id: number, logprob: number): Promise<TopLogprob> {
    let text = this.texts.get(id);
    if (!text) this.texts.set(id, (text = this.engine.detokenize([id])));
    const token = await text;
    // A part of a character has no text of its own.
    const bytes = token.includes('\ufffd') ? null : Array.from(new TextEncoder().encode(token));
    return { token, bytes, logprob: Math.max(logprob, -9999) };
  }
}
