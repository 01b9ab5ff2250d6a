/** Ends a text before the first of its stop texts. What may be the beginning of one is held back, so none is seen in part. */
export class StopFilter {
  /** A stop text was met: nothing comes any more. */
  stopped = false;
  private held = '';

  constructor(private readonly stops: readonly string[]) {}

  /** What can be shown after another piece. */
  push(text: string): string {
    if (this.stopped) return '';
    const all = this.held + text;
    const found = this.stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.stopped = true;
      this.held = '';
      return all.slice(0, Math.min(...found));
    }
    const keep = heldBack(all, this.stops);
    this.held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }

  /** What was held back, once the text has ended. */
  end(): string {
    const rest = this.held;
    this.held = '';
    return rest;
  }
}

/** Length of the longest end of the text that one of the marks begins with. */
export function heldBack(text: string, marks: readonly string[]): number {
  let most = 0;
  for (const mark of marks) {
    for (let length = Math.min(mark.length - 1, text.length); length > most; length--) {
      if (text.endsWith(mark.slice(0, length))) most = length;
    }
  }
  return most;
}
