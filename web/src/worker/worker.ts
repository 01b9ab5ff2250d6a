// The script of the dedicated worker; also pronk/worker, for a worker of the caller's that has other things to do besides.
import { browserPlatform } from '../runtime/platform-browser.js';
import { startThreadByPage } from './page-threads.js';
import type { Start, Started, ToWorker } from './protocol.js';
import { EngineServer } from './server.js';

const server = new EngineServer({ ...browserPlatform, startThread: startThreadByPage }, (message) =>
  self.postMessage(message),
);
self.addEventListener('message', ({ data }: MessageEvent<ToWorker | Start | null>) => {
  if (data?.type === 'start') holdLock();
  else if (data?.type === 'call' || data?.type === 'abort') void server.receive(data);
});

// Held until the worker ends, however it does; connect-worker.ts waits for it. Pages without https have no locks.
function holdLock(): void {
  const lock = `pronk ${performance.timeOrigin + performance.now()} ${Math.random()}`;
  void (navigator as Partial<Navigator>).locks?.request(lock, () => {
    self.postMessage({ type: 'started', lock } satisfies Started);
    return new Promise(() => {});
  });
}
