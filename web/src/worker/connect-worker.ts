// A dedicated worker of the browser.

import { messageOf, PronkError } from '../runtime/errors.js';
import { startScript } from '../runtime/start-script.js';
import type { Connect } from './client.js';
import { PageThreads } from './page-threads.js';
import type { FromWorker, NewThread, Start, Started } from './protocol.js';

const options = { type: 'module', name: 'pronk' } as const;

function startWorker(): Worker {
  if (typeof Worker === 'undefined') {
    const advice = "there { worker: inThread } of 'pronk/in-thread' runs the engine where it is called";
    throw new PronkError('unsupported', `a shared worker or a service worker cannot start a worker; ${advice}`);
  }
  try {
    // Bundlers find the worker's script by this very form of the expression.
    const own = (): Worker => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pronk' });
    return startScript(own, './worker.js', import.meta.url, options);
  } catch (error) {
    const advice = "{ worker } takes one that imports 'pronk/worker'";
    throw new PronkError('unsupported', `the engine's worker cannot be started: ${messageOf(error)}; ${advice}`, {
      cause: error,
    });
  }
}

/** A worker of the caller's, or what makes one: the engine ends it with unload(). It imports 'pronk/worker'. */
export type GivenWorker = Worker | (() => Worker);

/** Through a worker that is given; what makes one makes the next after a crash, too. */
export function connectGiven(given: GivenWorker): Connect {
  if (typeof given === 'function') return connectBy(given);
  let used = false;
  return connectBy(() => {
    if (used) throw new PronkError('unsupported', 'the worker that was given has ended; a function can make another');
    used = true;
    return given;
  });
}

const connectBy =
  (start: () => Worker): Connect =>
  (onMessage, onCrash) => {
    const worker = start();
    const life = new AbortController();
    const threads = new PageThreads();
    worker.onmessage = ({ data }: MessageEvent<FromWorker | Started | NewThread>) => {
      if (data.type === 'started') void watch(data.lock, life.signal, onCrash);
      else if (data.type === 'thread') threads.start(data);
      else onMessage(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      onCrash(event.message || 'its script did not load');
    };
    worker.onmessageerror = () => onCrash('a message could not be read');
    worker.postMessage({ type: 'start' } satisfies Start);
    return {
      send: (message) => worker.postMessage(message),
      close: () => {
        life.abort();
        worker.terminate();
        threads.end();
      },
    };
  };

export const connectWorker: Connect = connectBy(startWorker);

/** A worker that is killed sends no event, but a lock that it held is free then: who gets it knows that it is gone. */
async function watch(lock: string, signal: AbortSignal, onCrash: (why: string) => void): Promise<void> {
  try {
    await navigator.locks.request(lock, { signal }, () => {});
    if (!signal.aborted) onCrash('it was ended from outside');
  } catch {
    // the connection was closed first
  }
}
