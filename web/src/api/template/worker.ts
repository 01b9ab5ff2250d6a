// The script of a template worker in a browser.
import { type RenderRequest, renderJinja } from './jinja.js';

addEventListener('message', ({ data }: MessageEvent<RenderRequest>) => postMessage(renderJinja(data)));
