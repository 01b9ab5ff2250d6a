// Chat templates in this thread; the package has a worker for them.
import { renderJinja } from '../../src/api/template/jinja.js';

export async function render(template: string, values: Record<string, unknown>): Promise<string> {
  const rendered = renderJinja({ source: template, values });
  if ('error' in rendered) throw new Error(rendered.error);
  return rendered.text;
}
