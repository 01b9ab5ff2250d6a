// A page that uses the package as any Vite application would; the tests drive it from outside.
import '../../../dist/api/builtin-model.js';
import { Pronk, PronkError } from '../../../dist/api/index.js';

Object.assign(window, { Pronk, PronkError });
