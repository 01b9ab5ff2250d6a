/** Bytes from `start` to `end` of the file, on their way. */
export class Part {
  filled = 0;
  given = 0;
  error: unknown = null;
  private released = 0; // given, and of no use to anyone any more
  private wake: (() => void) | null = null;
  private wakeFiller: (() => void) | null = null;

  /** bytes: what holds them; where it is shorter than the part, what comes waits for what was given. */
  constructor(
    readonly start: number,
    public end: number,
    readonly bytes: Uint8Array,
  ) {}

  get length(): number {
    return this.end - this.start;
  }

  /** Bytes that add() takes now. */
  get room(): number {
    return Math.min(this.length - this.filled, this.bytes.length - (this.filled - this.released));
  }

  add(bytes: Uint8Array): void {
    const count = Math.min(bytes.length, this.room);
    const at = this.filled % this.bytes.length;
    const before = Math.min(count, this.bytes.length - at);
    this.bytes.set(bytes.subarray(0, before), at);
    this.bytes.set(bytes.subarray(before, count), 0);
    this.filled += count;
    this.changed();
  }

  /** At least one of those that are there, at most `most`; good until release(). */
  give(most: number): Uint8Array {
    const at = this.given % this.bytes.length;
    const count = Math.min(most, this.filled - this.given, this.bytes.length - at);
    this.given += count;
    return this.bytes.subarray(at, at + count);
  }

  /** What was given may be overwritten. */
  release(): void {
    this.released = this.given;
    this.wakeFiller?.();
    this.wakeFiller = null;
  }

  changed(): void {
    this.wake?.();
    this.wake = null;
  }

  /** Until there is something to give, or to say. */
  async progress(): Promise<void> {
    while (this.filled === this.given && this.filled < this.length && this.error === null) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** Until add() takes something, or the signal comes. */
  async hasRoom(signal: AbortSignal): Promise<void> {
    while (this.room === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.wakeFiller = done;
        signal.addEventListener('abort', done);
      });
    }
  }
}
