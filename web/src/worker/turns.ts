// Whose turn it is: one at a time, sessions one after another, and within a session who came first.

interface Waiting {
  start(): void;
}

export class Turns {
  private readonly lanes = new Map<number, Waiting[]>(); // in the order of their turns; none is empty
  private busy = false;

  /**
   * Runs it when its turn has come. One whose signal aborts before leaves the queue and runs at once: it is to do nothing
   * but say so.
   */
  async run<T>(session: number, signal: AbortSignal, job: () => Promise<T>): Promise<T> {
    const granted = !this.busy || (await this.wait(session, signal));
    if (!granted) return job();
    this.busy = true;
    try {
      return await job();
    } finally {
      this.next();
    }
  }

  /** False: it was aborted before. */
  private wait(session: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(false);
      const onAbort = (): void => {
        const lane = this.lanes.get(session)?.filter((other) => other !== waiting) ?? [];
        if (lane.length > 0) this.lanes.set(session, lane);
        else this.lanes.delete(session);
        resolve(false);
      };
      const waiting: Waiting = {
        start: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(true);
        },
      };
      const lane = this.lanes.get(session);
      if (lane) lane.push(waiting);
      else this.lanes.set(session, [waiting]);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The session whose turn it was comes last. */
  private next(): void {
    const [first] = this.lanes;
    this.busy = first !== undefined;
    if (!first) return;
    const [session, [waiting, ...rest]] = first;
    this.lanes.delete(session);
    if (rest.length > 0) this.lanes.set(session, rest);
    waiting!.start();
  }
}
