// The script of a thread's worker in a browser.
import { runThread } from './thread-instance.js';
import type { ThreadStart } from './threads.js';

self.onmessage = ({ data }: MessageEvent<ThreadStart>) => void runThread(data, (message) => self.postMessage(message));
