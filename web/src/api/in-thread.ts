// pronk/in-thread: the engine where it is called, for shared and service workers, which cannot start workers, and for pages that
// would rather wait. Nothing else of the package imports it: it brings the engine with it.
import { browserPlatform } from '../runtime/platform-browser.js';
import type { Connect } from '../worker/client.js';
import { connectLocally } from '../worker/connect-local.js';
import { renderJinja } from './template/jinja.js';
import type { StartTemplateWorker } from './template/renderer.js';

/** Where an engine and its templates run. */
export interface EnginePlace {
  readonly connect: Connect;
  readonly startTemplateWorker: StartTemplateWorker;
}

/** For Pronk.load(model, { worker: inThread }). Chat templates have no time limit there. */
export const inThread: EnginePlace = {
  connect: connectLocally(browserPlatform),
  startTemplateWorker: (onAnswer) => ({
    post: (request) => queueMicrotask(() => onAnswer(renderJinja(request))),
    close: () => {},
  }),
};
