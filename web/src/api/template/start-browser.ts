import type { StartTemplateWorker } from './renderer.js';

export const startTemplateWorker: StartTemplateWorker = (onAnswer, onFailure) => {
  // Bundlers find the worker's script by this very form of the expression.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pronk-template' });
  worker.onmessage = ({ data }) => onAnswer(data);
  worker.onerror = (event) => {
    event.preventDefault();
    onFailure(event.message || 'its script did not load');
  };
  return { post: (request) => worker.postMessage(request), close: () => worker.terminate() };
};
