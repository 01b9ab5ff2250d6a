/** How often an engine may come back by itself: what fails again and again is an error, not a loop. */
export class RecoveryLimit {
  private times: number[] = [];

  constructor(
    readonly most = 3,
    private readonly withinMs = 60_000,
  ) {}

  /** Whether one more recovery may begin now; counts it if so. */
  take(now = performance.now()): boolean {
    this.times = this.times.filter((time) => now - time < this.withinMs);
    if (this.times.length >= this.most) return false;
    this.times.push(now);
    return true;
  }
}
