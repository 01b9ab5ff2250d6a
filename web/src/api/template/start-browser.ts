import { startScript } from '../../runtime/start-script.js';
import type { StartTemplateWorker } from './renderer.js';

export const startTemplateWorker: StartTemplateWorker = (onAnswer, onFailure) => {
  // Bundlers find the worker's script by this very form of the expression.
  const own = (): Worker =>
    new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pronk-template' });
  const worker = startScript(own, './worker.js', import.meta.url, { type: 'module', name: 'pronk-template' });
  worker.onmessage = ({ data }) => onAnswer(data);
  worker.onerror = (event) => {
    event.preventDefault();
    onFailure(event.message || 'its script did not load');
  };
  return { post: (request) => worker.postMessage(request), close: () => worker.terminate() };
};
