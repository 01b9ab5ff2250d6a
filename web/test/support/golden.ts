// What the model in the box answers (tests/golden/box.json); tests/engine/box_model_test.cpp compares the same.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Golden {
  messages: { role: 'user' | 'assistant' | 'tool'; content: string }[];
  tools: object[];
  begun: string; // the beginning of the answer, where it is part of the prompt
  prompt: string;
  prompt_tokens: number[];
  most: number; // tokens to ask for
  tokens: number[];
  text: string;
}

export const boxPath = fileURLToPath(new URL('../../dist/pronk-box.gguf', import.meta.url));
const repositoryPath = fileURLToPath(new URL('../../../models/pronk-box.gguf', import.meta.url));
const goldenPath = fileURLToPath(new URL('../../../tests/golden/box.json', import.meta.url));

/** tests/golden/embeddings_*.json: the vectors by pooling; "normalized" is the mean at length 1. */
export interface GoldenEmbedding {
  text: string;
  tokens: number[];
  normalized: number[];
  last: number[];
  mean?: number[];
  cls?: number[];
  none?: number[];
}

const goldenFile = (name: string): string => fileURLToPath(new URL(`../../../tests/golden/${name}`, import.meta.url));
/** A small BERT. */
export const encoderPath = goldenFile('encoder.gguf');

export function goldenEmbeddings(model: 'encoder' | 'box'): GoldenEmbedding[] {
  return JSON.parse(readFileSync(goldenFile(`embeddings_${model}.json`), 'utf8')) as GoldenEmbedding[];
}

/** Cosine of the angle between two vectors. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** null, and a line that says so, only where the repository has neither the model nor its answers. */
export function boxGolden(): Golden[] | null {
  if (!existsSync(repositoryPath) && !existsSync(goldenPath)) {
    console.log('skipped: no models/pronk-box.gguf');
    return null;
  }
  if (!existsSync(repositoryPath)) throw new Error('models/pronk-box.gguf is missing');
  if (!existsSync(goldenPath)) throw new Error('run tools/golden_box.py');
  const { sha256, cases } = JSON.parse(readFileSync(goldenPath, 'utf8')) as { sha256: string; cases: Golden[] };
  if (hashOf(repositoryPath) !== sha256) throw new Error('run tools/golden_box.py');
  const built = existsSync(boxPath) && hashOf(boxPath) === sha256;
  if (!built) throw new Error('web/dist has another model: run npm run build');
  return cases;
}
