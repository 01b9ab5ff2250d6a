// The script of a thread's worker in a browser. It ends with the engine's worker, when that is terminated: Chromium never
// ends a worker one of whose own is just ending. Only where the engine's worker lives on does it end by itself.
import { pause } from './pause.js';
import { runThread } from './thread-instance.js';
import type { ThreadStart } from './threads.js';

const patience = 10_000; // milliseconds

self.onmessage = async ({ data }: MessageEvent<ThreadStart>) => {
  await runThread(data, (message) => self.postMessage(message));
  await pause(patience);
  self.close();
};
