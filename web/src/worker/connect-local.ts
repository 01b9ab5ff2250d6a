// The worker's side in the calling thread, for Node and for tests. Messages arrive in later tasks, as from a worker.
import type { Platform } from '../runtime/platform.js';
import type { Connect } from './client.js';
import { EngineServer } from './server.js';

export function connectLocally(platform: Platform): Connect {
  return (onMessage) => {
    let open = true;
    const server = new EngineServer(platform, (message) => {
      queueMicrotask(() => {
        if (open) onMessage(message);
      });
    });
    return {
      send: (message) => queueMicrotask(() => void server.receive(message)),
      close: () => {
        open = false;
        void server.receive({ type: 'call', id: 0, name: 'unload', arguments: null });
      },
    };
  };
}
