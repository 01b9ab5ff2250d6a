// Threads of an engine's worker are workers of its page: in Firefox, making a worker's own worker now and then never returns.
import { messageOf } from '../runtime/errors.js';
import { makeThreadWorker } from '../runtime/thread-worker.js';
import type { FromThread, StartThread } from '../runtime/threads.js';
import type { NewThread } from './protocol.js';

/** In the engine's worker. What the page says of a thread comes through a port of its own, and goes back there as its end. */
export const startThreadByPage: StartThread = (start, onMessage) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<FromThread>) => onMessage(data);
  self.postMessage({ type: 'thread', start, port: port2 } satisfies NewThread, { transfer: [port2] });
  return { end: () => port1.postMessage(null) };
};

/** In the page: the threads of one worker. */
export class PageThreads {
  private readonly workers = new Set<Worker>();

  start({ start, port }: NewThread): void {
    const tell = (message: FromThread): void => port.postMessage(message);
    let worker: Worker;
    try {
      worker = makeThreadWorker(start, tell);
    } catch (error) {
      return tell({ type: 'ended', why: messageOf(error) });
    }
    this.workers.add(worker);
    port.onmessage = () => {
      port.close();
      this.workers.delete(worker);
      worker.terminate();
    };
  }

  /** To be called when the engine's worker is gone, however it went. */
  end(): void {
    for (const worker of this.workers) worker.terminate();
    this.workers.clear();
  }
}
