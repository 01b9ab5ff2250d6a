// The model in the box, which ships with the package. scripts/build.mjs puts `null` here where a build has no model.
import { PronkError } from '../runtime/errors.js';

/** Where it is; bundlers find the file by this very form of the expression. */
const builtinModel: URL | null = new URL('../pronk-box.gguf', import.meta.url);

/** The name that stands for the model in the box. */
export const builtinName = 'builtin';

export function builtinUrl(): URL {
  if (builtinModel) return builtinModel;
  const why = 'models/pronk-box.gguf was not there when it was built';
  throw new PronkError('no-builtin-model', `this build of pronk has no model in the box: ${why}`);
}
