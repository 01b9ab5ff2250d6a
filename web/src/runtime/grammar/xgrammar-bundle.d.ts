import type { XGrammar } from './xgrammar.js';

/** A copy with a memory of its own. */
export function create(): XGrammar;
