// The script of a thread's worker in a browser. A page that made it ends it. Of an engine in a thread of the caller's it ends
// by itself, later: Chromium never ends a worker one of whose own is just ending.
import { pause } from './pause.js';
import { runThread } from './thread-instance.js';
import type { ThreadStart } from './threads.js';

const patience = 10_000; // milliseconds

self.onmessage = async ({ data }: MessageEvent<ThreadStart>) => {
  await runThread(data, (message) => self.postMessage(message));
  await pause(patience);
  self.close();
};
