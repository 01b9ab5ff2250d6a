// pronk/in-thread: the engine where it is called, for shared and service workers, which cannot start workers, and for pages that
// would rather wait. Nothing else of the package imports it: it brings the engine with it.
import { browserPlatform, isFirefox } from '../runtime/platform-browser.js';
import { startThreadHere } from '../runtime/thread-worker.js';
import type { ThreadSupport } from '../runtime/threads.js';
import type { Connect } from '../worker/client.js';
import { connectLocally } from '../worker/connect-local.js';
import { renderJinja } from './template/jinja.js';
import type { StartTemplateWorker } from './template/renderer.js';

/** A worker's own worker: Firefox may hang for ever in making one. */
function threads(): ThreadSupport {
  const support = browserPlatform.threads();
  const hangs = typeof document === 'undefined' && isFirefox();
  return hangs ? { ...support, missing: 'in Firefox they are for a page, not for a worker' } : support;
}

/** Where an engine and its templates run. */
export interface EnginePlace {
  readonly connect: Connect;
  readonly startTemplateWorker: StartTemplateWorker;
}

/** For Pronk.load(model, { worker: inThread }). Chat templates have no time limit there. */
export const inThread: EnginePlace = {
  connect: connectLocally({ ...browserPlatform, threads, startThread: startThreadHere }),
  startTemplateWorker: (onAnswer) => ({
    post: (request) => queueMicrotask(() => onAnswer(renderJinja(request))),
    close: () => {},
  }),
};
