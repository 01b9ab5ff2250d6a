// Chat templates in this thread; the page has a worker for them.
import { renderJinja } from '../../../demo/src/jinja.js';

export async function render(template: string, values: Record<string, unknown>): Promise<string> {
  const rendered = renderJinja(template, values);
  if ('error' in rendered) throw new Error(rendered.error);
  return rendered.text;
}
