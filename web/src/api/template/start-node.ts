import { Worker } from 'node:worker_threads';
import type { StartTemplateWorker } from './renderer.js';

const memoryLimit = 256; // MiB

export const startTemplateWorker: StartTemplateWorker = (onAnswer, onFailure) => {
  const resourceLimits = { maxOldGenerationSizeMb: memoryLimit };
  const options = { resourceLimits, env: {}, execArgv: [] };
  const worker = new Worker(new URL('./worker-node.js', import.meta.url), options);
  worker.unref(); // an idle one does not keep Node from ending
  worker.on('message', onAnswer);
  worker.on('error', ({ message }) => onFailure(message));
  return { post: (request) => worker.postMessage(request), close: () => void worker.terminate() };
};
