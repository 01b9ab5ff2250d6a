// One request: its end by its caller, by failure or by silence.
import { messageOf, PronkError } from './errors.js';

// A failure that another request may mend; wait: milliseconds that the server asks for, -1: none.
export class Interrupted extends Error {
  constructor(
    message: string,
    readonly wait = -1,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  // fetch() itself failed and hides why, as browsers do: a server that is down, or one that no retry would change.
  get unexplained(): boolean {
    return this.cause instanceof TypeError && this.cause.cause === undefined;
  }
}

/** A request's own abort: by its caller, or when no byte came for too long. */
export class Connection {
  private readonly abort = new AbortController();
  private readonly onAbort = (): void => this.abort.abort();
  private kept = false;
  private late = false;
  private heard = 0; // when there last was something, or the wait for it began
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly outer: AbortSignal | undefined,
    private readonly patience: number,
  ) {
    if (outer?.aborted) this.onAbort();
    outer?.addEventListener('abort', this.onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** `promise`, which ends with this connection; an Interrupted when it fails or takes too long. */
  async watch<T>(promise: Promise<T>): Promise<T> {
    this.heard = performance.now();
    this.timer ??= setTimeout(this.look, this.patience);
    try {
      return await promise;
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** The same for one that need not end with this connection; dearer. */
  async race<T>(promise: Promise<T>): Promise<T> {
    let onAbort = (): void => {};
    const ended = new Promise<never>((_, reject) => {
      onAbort = () => reject(new PronkError('aborted', 'aborted'));
      this.signal.addEventListener('abort', onAbort);
      if (this.signal.aborted) onAbort();
    });
    try {
      return await this.watch(Promise.race([promise, ended]));
    } finally {
      this.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Nothing is expected of the server until the next watch(). */
  rest(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private failure(error: unknown): unknown {
    if (this.outer?.aborted) return error;
    if (this.late) return new Interrupted(`the server sent nothing for ${Math.round(this.patience / 1000)} s`);
    if (error instanceof PronkError || error instanceof Interrupted) return error;
    return new Interrupted(failureText(error), -1, { cause: error });
  }

  // One timer for many waits.
  private readonly look = (): void => {
    const left = this.heard + this.patience - performance.now();
    this.late = left <= 1;
    if (this.late) this.abort.abort();
    else this.timer = setTimeout(this.look, left);
  };

  /** Its answer goes to another owner: end() leaves it alone. */
  keep(): void {
    this.kept = true;
  }

  end(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.onAbort);
    if (!this.kept) this.abort.abort();
  }
}

// Node's fetch hides why in `cause`.
function failureText(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message ? `${messageOf(error)} (${cause.message})` : messageOf(error);
}
