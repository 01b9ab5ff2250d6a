// A browser's worker for a thread of the CPU, where it is made: by the page for the engine's worker, as
// worker/page-threads.ts says, or by whoever has the engine in its own thread.
import { startScript } from './start-script.js';
import type { FromThread, StartThread, ThreadStart } from './threads.js';

const options = { type: 'module', name: 'pronk thread' } as const;

export function makeThreadWorker(start: ThreadStart, onMessage: (message: FromThread) => void): Worker {
  // Bundlers find the script by this very form of the expression.
  const own = (): Worker =>
    new Worker(new URL('./thread.js', import.meta.url), { type: 'module', name: 'pronk thread' });
  const worker = startScript(own, './thread.js', import.meta.url, options);
  worker.onmessage = ({ data }: MessageEvent<FromThread>) => onMessage(data);
  worker.onerror = (event) => {
    event.preventDefault();
    onMessage({ type: 'ended', why: event.message || "a thread's script did not load" });
  };
  worker.postMessage(start);
  return worker;
}

export const startThreadHere: StartThread = (start, onMessage) => {
  makeThreadWorker(start, onMessage);
  return { end() {} }; // see thread.ts
};
