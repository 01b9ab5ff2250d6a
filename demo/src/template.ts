// The model's chat template, which may be broken: the package runs it, the page says what is wrong with it.
import { type Pronk, PronkError } from 'pronk';

export class TemplateError extends Error {}

/** The text that the template makes of the values, or a TemplateError. */
export async function renderTemplate(
  engine: Pronk,
  template: string,
  values: Record<string, unknown>,
): Promise<string> {
  try {
    return await engine.render(template, values);
  } catch (error) {
    if (!(error instanceof PronkError) || error.code !== 'bad-argument') throw error;
    throw new TemplateError(`${error.message.replace(/^the /, 'The model’s ').replace(/\.?$/, '.')}`);
  }
}
