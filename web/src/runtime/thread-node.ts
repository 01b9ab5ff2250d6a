// The script of a thread's worker in Node.
import { parentPort, workerData } from 'node:worker_threads';
import { runThread } from './thread-instance.js';
import type { ThreadStart } from './threads.js';

void runThread(workerData as ThreadStart, (message) => parentPort!.postMessage(message));
