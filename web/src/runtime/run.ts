// One generation, apart from the engine that computes it: what a new engine needs to go on where a lost one was.
import type { FinishReason, GenerationResult, Piece, TokenMask } from './types.js';
import type { Sampling } from './validate.js';

export class Run {
  /** Tokens whose pieces the caller has, in order. */
  readonly given: number[] = [];
  /** Known as soon as the last piece is given. */
  finishReason: FinishReason | null = null;
  reusedTokens = 0;
  private readonly startedAt = performance.now();
  private firstAt = 0;

  constructor(
    /** The prompt. */
    readonly ids: readonly number[],
    readonly sampling: Sampling,
    readonly mask: TokenMask | null = null,
  ) {}

  give(pieces: readonly Piece[]): void {
    for (const { token } of pieces) {
      if (token === null) continue;
      this.given.push(token);
      this.mask?.accept(token);
    }
    if (this.firstAt === 0 && this.given.length > 0) this.firstAt = performance.now();
  }

  result(finishReason: FinishReason): GenerationResult {
    const now = performance.now();
    const firstTokenMs = (this.firstAt || now) - this.startedAt;
    const rest = now - this.firstAt;
    const generatedTokens = this.given.length;
    return {
      finishReason,
      promptTokens: this.ids.length,
      reusedTokens: this.reusedTokens,
      generatedTokens,
      seed: this.sampling.seed,
      timings: {
        firstTokenMs,
        totalMs: now - this.startedAt,
        promptTokensPerSecond: firstTokenMs > 0 ? ((this.ids.length - this.reusedTokens) * 1000) / firstTokenMs : 0,
        tokensPerSecond: generatedTokens > 1 && rest > 0 ? ((generatedTokens - 1) * 1000) / rest : 0,
      },
    };
  }
}
