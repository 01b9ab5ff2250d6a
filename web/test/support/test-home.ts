// A home for engines in tests: templates in this thread, and no warnings.
import type { Home } from '../../src/api/engine.js';
import { type Rendered, renderJinja } from '../../src/api/template/jinja.js';
import type { StartTemplateWorker } from '../../src/api/template/renderer.js';
import type { Connect } from '../../src/worker/client.js';

export const templatesHere: StartTemplateWorker = (onAnswer) => ({
  post: (request) => {
    const answer: Rendered = renderJinja(request);
    queueMicrotask(() => onAnswer(answer));
  },
  close: () => {},
});

export function testHome(connect: Connect, budget = 5000): Home {
  return { connect, defaultBudget: () => budget, warn: () => {}, startTemplateWorker: templatesHere };
}
