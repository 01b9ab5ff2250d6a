// Threads of the CPU: how many there are to be, and the workers that they run in.
import { messageOf } from './errors.js';
import type { EngineModule, SharedModule } from './module.js';

const mostByDefault = 8; // more share the same memory, and wait for it

export interface ThreadSupport {
  processors: number;
  /** Why there can be one thread only; '': there can be more. */
  missing: string;
}

/** What a worker needs to become a thread; see src/wasm/threads.h. */
export interface ThreadStart extends SharedModule {
  thread: number;
  stack: number;
}

/** serving: it works from now on. ended: it does not, and why. */
export type FromThread = { type: 'serving' } | { type: 'ended'; why: string };

export interface ThreadWorker {
  terminate(): unknown;
}

/** Makes a worker and gives it its start. */
export type StartThread = (start: ThreadStart, onMessage: (message: FromThread) => void) => ThreadWorker;

/** Of the processors some are halves of one core, or slow ones, and a page has other things to do as well. */
export function defaultThreads(processors: number): number {
  return Math.min(processors, mostByDefault, Math.max(processors < 4 ? 2 : 3, processors >> 1));
}

/** Threads that the CPU is to have. */
export function countThreads(wanted: number | undefined, support: ThreadSupport): number {
  return support.missing ? 1 : (wanted ?? defaultThreads(support.processors));
}

/** All of a module's threads but the one that it was instantiated in. They need not come, and may come late. */
export class ThreadTeam {
  /** Those that work. */
  serving = 0;
  private readonly workers: ThreadWorker[] = [];

  /** count: of all threads. onFewer: one cannot work, and why. */
  constructor(module: EngineModule, count: number, startThread: StartThread, onFewer: (why: string) => void) {
    const { shared } = module;
    for (let thread = 1; shared && thread < count; thread++) {
      try {
        this.workers.push(startThread({ ...shared, thread, stack: module.makeStack() }, this.listen(onFewer)));
      } catch (error) {
        onFewer(messageOf(error));
      }
    }
  }

  /** To be called when the module has been unloaded, or is never to be used again. */
  async close(): Promise<void> {
    this.serving = 0;
    await Promise.all(this.workers.splice(0).map((worker) => worker.terminate()));
  }

  private listen(onFewer: (why: string) => void): (message: FromThread) => void {
    let serves = false;
    let ended = false;
    return (message) => {
      if (ended || this.workers.length === 0) return;
      if (message.type === 'serving') {
        serves = true;
        this.serving++;
        return;
      }
      ended = true;
      if (serves) this.serving--;
      onFewer(message.why);
    };
  }
}
