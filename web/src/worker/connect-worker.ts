// A dedicated worker of the browser.

import { messageOf, PronkError } from '../runtime/errors.js';
import type { Connect } from './client.js';
import type { FromWorker, Started } from './protocol.js';

function startWorker(): Worker {
  if (typeof Worker === 'undefined') {
    const where = 'a page or a dedicated worker can, a shared worker or a service worker cannot';
    throw new PronkError('unsupported', `no worker can be started from here: ${where}`);
  }
  try {
    // Bundlers find the worker's script by this very form of the expression.
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pronk' });
  } catch (error) {
    const advice = "the package has to be served from the page's own origin";
    throw new PronkError('unsupported', `the engine's worker cannot be started: ${messageOf(error)}; ${advice}`, {
      cause: error,
    });
  }
}

export const connectWorker: Connect = (onMessage, onCrash) => {
  const worker = startWorker();
  const life = new AbortController();
  worker.onmessage = ({ data }: MessageEvent<FromWorker | Started>) => {
    if (data.type === 'started') void watch(data.lock, life.signal, onCrash);
    else onMessage(data);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    onCrash(event.message || 'its script did not load');
  };
  worker.onmessageerror = () => onCrash('a message could not be read');
  return {
    send: (message) => worker.postMessage(message),
    close: () => {
      life.abort();
      worker.terminate();
    },
  };
};

/** A worker that is killed sends no event, but a lock that it held is free then: who gets it knows that it is gone. */
async function watch(lock: string, signal: AbortSignal, onCrash: (why: string) => void): Promise<void> {
  try {
    await navigator.locks.request(lock, { signal }, () => {});
    if (!signal.aborted) onCrash('it was ended from outside');
  } catch {
    // the connection was closed first
  }
}
