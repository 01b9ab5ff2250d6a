import { PronkError } from '../runtime/errors.js';
import type { GenerationResult, Piece } from '../runtime/types.js';

/** Starts the work of a generation; resolves when it has ended. */
export type StartGeneration = (onPieces: (pieces: Piece[]) => void, signal: AbortSignal) => Promise<GenerationResult>;

/**
 * A running generation: iterate it once for its pieces; leaving the loop early cancels it. `result` says how it ended
 * and how fast it was. Aborting the signal given to generate() makes both throw 'aborted'.
 */
export class Generation implements AsyncIterable<Piece> {
  readonly result: Promise<GenerationResult>;
  private readonly queue: Piece[] = [];
  private readonly stop = new AbortController();
  private outcome: { error: PronkError | null } | null = null;
  private wake: (() => void) | null = null;
  private iterated = false;

  constructor(start: StartGeneration, signal?: AbortSignal) {
    const onAbort = (): void => this.stop.abort();
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
    const onPieces = (pieces: Piece[]): void => {
      this.queue.push(...pieces);
      this.wake?.();
    };
    this.result = start(onPieces, this.stop.signal).then((result) => {
      if (signal?.aborted && result.finishReason === 'cancelled') throw new PronkError('aborted', 'aborted');
      return result;
    });
    const ended = (error: PronkError | null): void => {
      signal?.removeEventListener('abort', onAbort);
      this.outcome = { error };
      this.wake?.();
    };
    // Whoever only iterates never looks at `result`: its failure must not be an unhandled rejection.
    this.result.then(
      () => ended(null),
      (error: PronkError) => ended(error),
    );
  }

  /** Ends the generation; the loop then ends and `result` has the reason 'cancelled'. */
  cancel(): void {
    this.stop.abort();
  }

  /** The pieces as they come. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void, void> {
    if (this.iterated) throw new PronkError('bad-argument', 'a generation can be iterated once');
    this.iterated = true;
    try {
      for (;;) {
        const piece = this.queue.shift();
        if (piece) yield piece;
        else if (this.outcome) break;
        else await new Promise<void>((resolve) => (this.wake = resolve));
      }
      if (this.outcome.error) throw this.outcome.error;
    } finally {
      if (!this.outcome) this.cancel();
    }
  }
}
