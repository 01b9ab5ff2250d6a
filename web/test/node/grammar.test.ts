// Constraints as masks of tokens, over the vocabulary of the model in the box and without its weights: whatever the masks
// allow is taken, at random.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EngineHost as HostType } from '../../src/runtime/engine-host.js';
import type { Grammars as GrammarsType, Vocabulary } from '../../src/runtime/grammar/grammars.js';
import type { Constraint } from '../../src/runtime/types.js';
import { boxGolden, boxPath } from '../support/golden.js';
import { randomNumbers } from '../support/random.js';

const dist = '../../dist/runtime';
const { EngineHost } = (await import(`${dist}/engine-host.js`)) as typeof import('../../src/runtime/engine-host.js');
const { Grammars } = (await import(
  `${dist}/grammar/grammars.js`
)) as typeof import('../../src/runtime/grammar/grammars.js');
const { nodePlatform } = (await import(
  `${dist}/platform-node.js`
)) as typeof import('../../src/runtime/platform-node.js');

let host: HostType;
let vocabulary: Vocabulary;
let grammars: GrammarsType;
const hasBox = boxGolden() !== null;
beforeAll(async () => {
  if (!hasBox) return;
  host = await EngineHost.open(nodePlatform, [{ kind: 'path', path: boxPath }], { device: 'cpu', threads: 1 });
  vocabulary = host.vocabulary();
  grammars = new Grammars(() => vocabulary);
});
afterAll(() => host?.close());

/** A text of what the masks allow, which ends as soon as it may: mostly, after a while always. */
async function walk(constraint: Constraint, seed: number): Promise<string> {
  const next = randomNumbers(seed);
  const mask = await grammars.mask(constraint);
  const bytes: number[] = [];
  try {
    for (let step = 0; step < 400; step++) {
      const words = mask.next()!;
      const allowed = vocabulary.pieces.flatMap((_, id) => ((words[id >> 5]! >>> (id & 31)) & 1 ? [id] : []));
      const closing = allowed.filter((id) => /^["}\],]+$/.test(new TextDecoder().decode(vocabulary.pieces[id])));
      const end = allowed.find((id) => vocabulary.ends.includes(id));
      const from = step > 30 && closing.length > 0 ? closing : allowed;
      const token = end ?? from[Math.floor(next() * from.length)]!;
      mask.accept(token);
      if (token === end) return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
      bytes.push(...vocabulary.pieces[token]!);
    }
    throw new Error('it has no end');
  } finally {
    mask.close();
  }
}

const person: Constraint = {
  kind: 'schema',
  schema: {
    type: 'object',
    properties: { name: { type: 'string', maxLength: 20 }, age: { type: 'integer' }, mood: { enum: ['good', 'bad'] } },
    required: ['name', 'age', 'mood'],
  },
};

describe.skipIf(!hasBox)('a mask', () => {
  it('gives the bytes of all tokens but those that no text spells', () => {
    expect(vocabulary.pieces.length).toBe(2048);
    const spelled = vocabulary.pieces.map((bytes) => new TextDecoder().decode(bytes));
    expect(spelled).toContain('<tool_call>');
    expect(spelled).not.toContain('<|im_end|>');
    for (const id of vocabulary.ends) expect(spelled[id]).toBe('');
  });

  it('lets through valid JSON alone', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const text = await walk({ kind: 'json' }, seed);
      expect(JSON.parse(text)).toBeTypeOf('object');
    }
  });

  it('lets through what a schema allows alone', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const made = JSON.parse(await walk(person, seed)) as Record<string, unknown>;
      expect(Object.keys(made)).toEqual(['name', 'age', 'mood']);
      expect([typeof made['name'], Number.isInteger(made['age'])]).toEqual(['string', true]);
      expect(['good', 'bad']).toContain(made['mood']);
    }
  });

  it('lets through what a grammar makes alone', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 20; seed++)
      seen.add(await walk({ kind: 'grammar', grammar: 'root ::= ("yes" | "no") "."' }, seed));
    expect([...seen].sort()).toEqual(['no.', 'yes.']);
  });

  it('that begins later lets all but ends through before', async () => {
    const after = vocabulary.pieces.findIndex((bytes) => new TextDecoder().decode(bytes) === '.');
    const mask = await grammars.mask({ kind: 'json', after });
    const allows = (id: number): boolean => ((mask.next()![id >> 5]! >>> (id & 31)) & 1) === 1;
    const free = (): boolean[] => vocabulary.pieces.map((_, id) => allows(id));
    for (const token of [7, 300, 2047]) {
      expect(free()).toEqual(vocabulary.pieces.map((_, id) => !vocabulary.ends.includes(id)));
      mask.accept(token);
    }
    mask.accept(after);
    const begins = free().flatMap((allowed, id) => (allowed ? [new TextDecoder().decode(vocabulary.pieces[id])] : []));
    expect(begins.length).toBeGreaterThan(0);
    expect(begins.every((text) => text.startsWith('{'))).toBe(true);
    mask.close();
  });

  it('refuses a token that it does not allow', async () => {
    const mask = await grammars.mask({ kind: 'json' });
    const wrong = vocabulary.pieces.findIndex((bytes) => new TextDecoder().decode(bytes) === 'a');
    expect(() => mask.accept(wrong)).toThrow('breaks the constraint');
    mask.close();
  });

  it('can be made again and again, also after what could not be kept', async () => {
    const wrong: [Constraint, RegExp][] = [
      [{ kind: 'grammar', grammar: 'root := (' }, /^the grammar is not supported: EBNF lexer error at line 1/],
      [{ kind: 'grammar', grammar: 'a ::= "x"' }, /^the grammar is not supported: .*root/],
      [{ kind: 'schema', schema: { type: 'banana' } }, /^the schema is not supported: Unsupported type "banana"/],
      [
        { kind: 'schema', schema: { allOf: [{ type: 'object' }, { type: 'string' }] } },
        /^the schema\.allOf is not supported: it has parts that differ in type/,
      ],
      [
        { kind: 'schema', schema: { properties: { a: { not: {} } } } },
        /^the schema\.properties\.a\.not is not supported/,
      ],
      [{ kind: 'schema', schema: { type: 'array', uniqueItems: true } }, /^the schema\.uniqueItems is not supported/],
      [{ kind: 'schema', schema: { $ref: 'http://a.example/b' } }, /^the schema\.\$ref is not a place within it/],
    ];
    for (let round = 0; round < 30; round++) {
      // more failures than a copy of the library is used for
      for (const [constraint, message] of wrong) {
        const error = { code: 'bad-argument', message: expect.stringMatching(message) };
        await expect(grammars.mask(constraint), String(round)).rejects.toMatchObject(error);
      }
    }
    expect(JSON.parse(await walk(person, 7))).toHaveProperty('name');
  });
});
