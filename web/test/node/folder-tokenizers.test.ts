// Tokenizers of ../../shared/vectors/sources/tokenizer, which not every machine has: those of folders give in the engine the
// ids of the library that wrote them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tinyFolder } from '../support/tiny-folder.js';

const { Pronk } = (await import('../../dist/api/node.js' as string)) as typeof import('../../src/api/node.js');
const vectors = fileURLToPath(new URL('../../../../shared/vectors/sources/tokenizer', import.meta.url));
const read = <T>(path: string): T => JSON.parse(readFileSync(join(vectors, path), 'utf8')) as T;

interface Expected {
  name: string;
  ids: number[];
  ids_add_special?: number[];
  decodes_to: string;
}
const names = existsSync(vectors)
  ? readdirSync(vectors).filter((name) => existsSync(join(vectors, name, 'expected.json')))
  : [];
if (names.length === 0) console.log('skipped: tokenizers of folders: there are no ../shared/vectors/sources/tokenizer');

describe.skipIf(names.length === 0)('tokenizers of folders', () => {
  const texts = names.length > 0 ? read<{ texts: { name: string; utf8_hex: string }[] }>('texts.json').texts : [];

  const model = names.length > 0 ? [...tinyFolder(1, { largeVocabulary: true })] : [];

  it('are thirty', () => expect(names).toHaveLength(30));

  it.each(names)('%s', async (name) => {
    const own = ['tokenizer.json', 'tokenizer_config.json'].map((file): [string, Uint8Array<ArrayBuffer>] => {
      const path = join(vectors, name, file);
      return [file, new Uint8Array(existsSync(path) ? readFileSync(path) : Buffer.from('{}'))];
    });
    const files = [...new Map([...model, ...own])].map(([path, bytes]) => new File([bytes], path));
    const engine = await Pronk.load(files, { device: 'cpu', threads: 1, cache: false, contextSize: 64 });
    const { cases } = read<{ cases: Expected[] }>(join(name, 'expected.json'));
    expect(cases).toHaveLength(texts.length);
    for (const { name: of, ids, ids_add_special, decodes_to } of cases) {
      const text = Buffer.from(texts.find((each) => each.name === of)!.utf8_hex, 'hex').toString();
      expect(await engine.tokenize(text, { special: true, bos: 'off' }), of).toEqual(ids);
      expect(await engine.tokenize(text, { special: true }), of).toEqual(ids_add_special ?? ids);
      expect(await engine.detokenize(ids), of).toBe(decodes_to === 'the text' ? text : decodes_to);
    }
    await engine.unload();
  });
});
