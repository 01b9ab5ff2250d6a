// Where the model in the box is, once something has imported it.
import { PronkError } from '../runtime/errors.js';

/** The name that stands for the model in the box. */
export const builtinName = 'builtin';

let file: URL | null | undefined; // null: this build has none

/** By builtin-model.ts alone. */
export function provideBuiltin(url: URL | null): void {
  file = url;
}

export function builtinUrl(): URL {
  if (file) return file;
  const why =
    file === null
      ? 'this build of pronk has no model in the box: models/pronk-box.gguf was not there when it was built'
      : "the model in the box is not here: it comes with import 'pronk/builtin'";
  throw new PronkError('no-builtin-model', why);
}
