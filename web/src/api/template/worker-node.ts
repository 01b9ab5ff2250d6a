// The script of a template worker in Node.
import { parentPort } from 'node:worker_threads';
import { type RenderRequest, renderJinja } from './jinja.js';

parentPort!.on('message', (request: RenderRequest) => parentPort!.postMessage(renderJinja(request)));
