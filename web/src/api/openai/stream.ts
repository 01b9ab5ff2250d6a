import { PronkError } from '../../runtime/errors.js';

/** An answer in chunks: iterate it once. Leaving the loop, or controller.abort(), ends the answer. */
export class Stream<Chunk> implements AsyncIterable<Chunk> {
  private iterated = false;

  constructor(
    private readonly chunks: AsyncGenerator<Chunk, void, void>,
    readonly controller: AbortController,
  ) {}

  /** The chunks as they come. */
  [Symbol.asyncIterator](): AsyncIterator<Chunk> {
    if (this.iterated) throw new PronkError('bad-argument', 'a stream can be iterated once');
    this.iterated = true;
    return this.chunks;
  }

  /** A line of JSON for each chunk, as OpenAI's client reads with fromReadableStream(). */
  toReadableStream(): ReadableStream<Uint8Array> {
    const iterator = this[Symbol.asyncIterator]();
    const encoder = new TextEncoder();
    return new ReadableStream({
      async pull(to) {
        const { value, done } = await iterator.next();
        if (done) to.close();
        else to.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      },
      async cancel() {
        await iterator.return?.();
      },
    });
  }
}

/** A controller that the signal aborts too. */
export function controllerOf(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  if (signal?.aborted) controller.abort();
  else signal?.addEventListener('abort', () => controller.abort(), { once: true, signal: controller.signal });
  return controller;
}
