// The reference vectors beside the repository, where they are.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));
export const storiesPath = `${shared}models/stories260K.gguf`;

export interface Reference {
  tag: string;
  text: string;
  tokens: number[];
  greedy: { tokens: number[]; text: string };
}

/** The prompts of stories260K with their greedy continuations; null, and a line that says so, without the files. */
export function storyReferences(): Reference[] | null {
  const index = `${shared}vectors/logits/index.json`;
  if (!existsSync(index) || !existsSync(storiesPath)) {
    console.log('skipped: ../shared with stories260K and its reference vectors is not here');
    return null;
  }
  const { models } = JSON.parse(readFileSync(index, 'utf8')) as { models: { name: string; sequences: Reference[] }[] };
  return models.find(({ name }) => name === 'stories260K')!.sequences;
}
