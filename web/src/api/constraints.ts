// pronk/constraints: the library of constraints there from the start, for service workers, where import() is forbidden. It
// serves engines `inThread`; others load it when they are first asked for a constraint.
import { provideXGrammar } from '../runtime/grammar/xgrammar.js';
import { create } from '../runtime/grammar/xgrammar-bundle.js';

provideXGrammar(create);
