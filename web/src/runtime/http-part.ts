/** Bytes from `start` to `end` of the file, on their way. */
export class Part {
  filled = 0;
  given = 0;
  error: unknown = null;
  private wake: (() => void) | null = null;

  constructor(
    readonly start: number,
    public end: number,
    readonly bytes: Uint8Array,
  ) {}

  get length(): number {
    return this.end - this.start;
  }

  add(bytes: Uint8Array): void {
    const count = Math.min(bytes.length, this.length - this.filled);
    this.bytes.set(bytes.subarray(0, count), this.filled);
    this.filled += count;
    this.changed();
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
}
