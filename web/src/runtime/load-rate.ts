/** How fast a load goes, from what it did in the last few seconds. */
export class LoadRate {
  private readonly samples: { bytes: number; at: number }[] = [];

  constructor(
    private readonly totalBytes: number,
    private readonly window = 3000, // milliseconds
  ) {}

  /** bytes: loaded so far; at: milliseconds. Nothing is known before the load is a tenth of a second old. */
  add(bytes: number, at: number): { bytesPerSecond: number; secondsLeft: number | null } {
    this.samples.push({ bytes, at });
    // One sample from before the window stays, so that the window is always spanned.
    while (this.samples.length > 2 && at - this.samples[1]!.at >= this.window) this.samples.shift();
    if (this.samples.length > 256) this.samples.splice(1, 128);
    const first = this.samples[0]!;
    const seconds = (at - first.at) / 1000;
    const bytesPerSecond = seconds >= 0.1 ? (bytes - first.bytes) / seconds : 0;
    const left = Math.max(0, this.totalBytes - bytes);
    return { bytesPerSecond, secondsLeft: bytesPerSecond > 0 ? left / bytesPerSecond : null };
  }
}
