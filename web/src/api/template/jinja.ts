// Chat templates are programs in Jinja that come with the model. Runs in a worker: such a program may never end.
import { Template } from '@huggingface/jinja';

export interface RenderRequest {
  source: string;
  values: Record<string, unknown>;
}
export type Rendered = { text: string } | { error: string };

let last: { source: string; template: Template } | null = null;

function parsed(source: string): Template {
  if (last?.source !== source) last = { source, template: new Template(source) };
  return last.template;
}

/** The text, or one sentence that says what is wrong with the template. */
export function renderJinja({ source, values }: RenderRequest): Rendered {
  let does = 'cannot be read';
  try {
    const template = parsed(source);
    does = 'fails';
    return { text: template.render(values) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { error: `the chat template ${does}: ${why.replace(/\s+/g, ' ').slice(0, 500)}` };
  }
}
