// Probabilities of tokens, in OpenAI's form.
import type { Logprobs } from '../../runtime/types.js';
import type { TextEngine } from './engine.js';
import type { TokenLogprob, TopLogprob } from './types.js';

/** Spells tokens; each is asked for once. */
export class TokenTexts {
  private readonly texts = new Map<number, Promise<string>>();

  constructor(private readonly engine: TextEngine) {}

  async logprob(token: number, { logprob, top }: Logprobs): Promise<TokenLogprob> {
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
