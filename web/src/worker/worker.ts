// The script of the dedicated worker.
import { browserPlatform } from '../runtime/platform-browser.js';
import type { Started, ToWorker } from './protocol.js';
import { EngineServer } from './server.js';

const server = new EngineServer(browserPlatform, (message) => self.postMessage(message));
self.addEventListener('message', (event: MessageEvent<ToWorker>) => void server.receive(event.data));

// Held until the worker ends, however it does; connect-worker.ts waits for it. Pages without https have no locks.
const lock = `pronk ${performance.timeOrigin + performance.now()} ${Math.random()}`;
void (navigator as Partial<Navigator>).locks?.request(lock, () => {
  self.postMessage({ type: 'started', lock } satisfies Started);
  return new Promise(() => {});
});
