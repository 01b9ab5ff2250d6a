// pronk/builtin: the model in the box, which is shipped to those who import this. scripts/build.mjs puts `null` in place of
// the URL where a build has no model.
import { builtinName, provideBuiltin } from './builtin.js';

/** Bundlers find the file by this very form of the expression. */
const model: URL | null = new URL('../pronk-box.gguf', import.meta.url);
provideBuiltin(model);

/** The name of the model for Pronk.load() and Pronk.plan(). */
export const builtin = builtinName;
