// Renders chat templates in a worker: a template is a program, and may run for ever.
import type { Rendered, TemplateValues } from './jinja';

export class TemplateError extends Error {}

const limitMs = 2000; // real templates take a few milliseconds

let idle: Worker | null = null;

function firstMessage<T>(worker: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<T>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new TemplateError(`The model’s chat template cannot be run: ${event.message || 'no script'}.`));
    };
  });
}

async function startWorker(): Promise<Worker> {
  const worker = new Worker(new URL('./template-worker.ts', import.meta.url), { type: 'module', name: 'template' });
  await firstMessage(worker);
  return worker;
}

/** The text that the template makes of the values, or a TemplateError. */
export async function renderTemplate(source: string, values: TemplateValues): Promise<string> {
  const worker = idle ?? (await startWorker());
  idle = null;
  let timer: number | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new TemplateError(`The model’s chat template was stopped: it ran for more than ${limitMs / 1000} s.`);
    timer = window.setTimeout(() => reject(error), limitMs);
  });
  try {
    const answer = firstMessage<Rendered>(worker);
    worker.postMessage({ source, values });
    const rendered = await Promise.race([answer, late]);
    idle = worker;
    if ('error' in rendered) throw new TemplateError(rendered.error);
    return rendered.text;
  } finally {
    clearTimeout(timer);
    if (idle !== worker) worker.terminate();
  }
}
