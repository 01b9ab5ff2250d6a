// pronk/in-thread: the engine where it is called, for shared and service workers, which cannot start workers, and for pages that
// would rather wait. Nothing else of the package imports it: it brings the engine with it.
import { browserPlatform, isFirefox } from '../runtime/platform-browser.js';
import { startThreadHere } from '../runtime/thread-worker.js';
import type { ThreadSupport } from '../runtime/threads.js';
import type { Connect } from '../worker/client.js';
import { connectLocally } from '../worker/connect-local.js';
import { renderJinja } from './template/jinja.js';
import type { StartTemplateWorker } from './template/renderer.js';

/** A page may not wait for threads, and Firefox may hang for ever in making a worker's own worker. */
function threads(): ThreadSupport {
  const support = browserPlatform.threads();
  if (typeof document !== 'undefined')
    return { ...support, missing: 'a page may not wait for others in its own thread' };
  return isFirefox() ? { ...support, missing: 'in Firefox a worker may hang in making another' } : support;
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
