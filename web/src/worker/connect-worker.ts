// A dedicated worker of the browser.
import type { FromWorker } from './protocol.js';
import type { Connect } from './client.js';

export const connectWorker: Connect = (onMessage, onCrash) => {
  // Bundlers find the worker's script by this very form of the expression.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pronk' });
  worker.onmessage = (event: MessageEvent<FromWorker>) => onMessage(event.data);
  worker.onerror = (event) => {
    event.preventDefault();
    onCrash(event.message || 'its script did not load');
  };
  worker.onmessageerror = () => onCrash('a message could not be read');
  return { send: (message) => worker.postMessage(message), close: () => worker.terminate() };
};
