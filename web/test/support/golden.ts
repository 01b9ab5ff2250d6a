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
