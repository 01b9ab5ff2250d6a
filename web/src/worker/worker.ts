// The script of the dedicated worker.
import { browserPlatform } from '../runtime/platform-browser.js';
import type { ToWorker } from './protocol.js';
import { EngineServer } from './server.js';

const server = new EngineServer(browserPlatform, (message) => self.postMessage(message));
self.addEventListener('message', (event: MessageEvent<ToWorker>) => void server.receive(event.data));
