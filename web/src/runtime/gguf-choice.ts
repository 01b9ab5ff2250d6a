// Which of the files of a repository is meant: the same rules as the native program's (cli/hub.h).
import { PronkError } from './errors.js';
import { fileName, splitIndex } from './source.js';

const defaultType = 'Q4_K_M';

/**
 * The only GGUF model, or the only one of the type that is named, or else of Q4_K_M; of a split model the first part.
 * A type stands in a path as a word; case does not matter. `repo`: for errors.
 */
export function chooseGguf(repo: string, paths: readonly string[], type: string): string {
  const models = paths.filter(isModel).sort();
  if (models.length === 0) throw new PronkError('bad-model', `${repo} has neither safetensors nor GGUF files`);
  let fitting = type === '' ? models : ofType(models, type);
  if (fitting.length === 0) {
    throw new PronkError('bad-argument', `${repo} has no model of type ${type}, only: ${models.join(', ')}`);
  }
  if (type === '' && fitting.length > 1) {
    const usual = ofType(models, defaultType);
    if (usual.length === 1) fitting = usual;
  }
  if (fitting.length === 1) return fitting[0]!;
  const several = `several models${type && ` of type ${type}`}`;
  throw new PronkError('bad-argument', `${repo} has ${several}, name one of them: ${fitting.join(', ')}`);
}

function isModel(path: string): boolean {
  if (/\p{Cc}/u.test(path)) return false;
  const name = fileName(path).toLowerCase();
  if (!name.endsWith('.gguf') || name.includes('mmproj') || name.startsWith('imatrix')) return false;
  return splitIndex(path) <= 0;
}

function ofType(models: string[], type: string): string[] {
  const word = type.toLowerCase().replace(/[^a-z0-9_]/g, '\\$&');
  const pattern = new RegExp(`(?<![a-z0-9])${word}(?![a-z0-9_])`);
  return models.filter((path) => pattern.test(path.toLowerCase()));
}
