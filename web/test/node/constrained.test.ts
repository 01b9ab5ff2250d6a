// Constrained answers of the model in the box, on the CPU: all that end are of their form.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pronk as PronkType } from '../../src/api/node.js';
import type { ChatRequest } from '../../src/api/openai/types.js';
import { boxGolden } from '../support/golden.js';

const built = '../../dist/api/node.js';
const { Pronk } = (await import(built).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');

const hasBox = boxGolden() !== null;
let engine: PronkType;
beforeAll(async () => {
  if (hasBox) engine = await Pronk.load('builtin', { device: 'cpu', threads: 1 });
});
afterAll(() => engine?.unload());

const prompts = [
  'What is the weather in Paris?',
  'What time is it in Oslo?',
  'Give me a JSON list of three colours.',
  'Who are you?',
  'Tell me a story about a brave rabbit named Milo.',
  'What is 7 + 8?',
  'I have a grey cat called Luna. What is my cat called?',
  'Name four animals.',
  'Write me a poem about { and }.',
  'What is the opposite of cold?',
];
const cityTool = (name: string) => ({
  type: 'function' as const,
  function: {
    name,
    description: `Get the ${name.replace('get_', '')} in a city`,
    parameters: { type: 'object', properties: { city: { type: 'string', maxLength: 30 } }, required: ['city'] },
  },
});
const tools = [cityTool('get_weather'), cityTool('get_time')];
const schema = {
  type: 'object',
  properties: {
    answer: { type: 'string', maxLength: 40 },
    mood: { enum: ['good', 'bad'] },
    numbers: { type: 'array', items: { type: 'integer', minimum: 0, maximum: 99 }, maxItems: 3 },
  },
  required: ['answer', 'mood', 'numbers'],
};

async function ask(i: number, request: Partial<ChatRequest>) {
  const messages = [{ role: 'user' as const, content: prompts[i % prompts.length]! }];
  // Each prompt is asked several times: once for what is likeliest, then for what is not.
  const sampling = i < prompts.length ? { temperature: 0 } : { temperature: 1.5, seed: i };
  const { choices } = await engine.chat.completions.create({ messages, ...sampling, ...request, stream: false });
  return choices[0]!;
}

describe.skipIf(!hasBox)('of 200 answers each is of its form:', () => {
  it('100 calls of tools, by choice or by name', async () => {
    for (let i = 0; i < 100; i++) {
      const named = { type: 'function' as const, function: { name: 'get_time' } };
      const choice = await ask(i, { tools, tool_choice: i % 2 === 0 ? 'required' : named });
      expect(choice.finish_reason, prompts[i % prompts.length]).toBe('tool_calls');
      const { name, arguments: given } = choice.message.tool_calls![0]!.function;
      expect(i % 2 === 0 ? ['get_weather', 'get_time'] : ['get_time']).toContain(name);
      const values = JSON.parse(given) as Record<string, unknown>;
      expect(Object.keys(values)).toEqual(['city']);
      expect(values['city']).toBeTypeOf('string');
    }
  });

  it('100 objects of a schema', async () => {
    const format = { type: 'json_schema' as const, json_schema: { name: 'answer', schema } };
    for (let i = 0; i < 100; i++) {
      const { message, finish_reason: finish } = await ask(i, { response_format: format });
      expect(finish).toBe('stop');
      const made = JSON.parse(message.content!) as { answer: string; mood: string; numbers: number[] };
      expect(Object.keys(made)).toEqual(['answer', 'mood', 'numbers']);
      expect(Array.from(made.answer).length).toBeLessThanOrEqual(40);
      expect(['good', 'bad']).toContain(made.mood);
      expect(made.numbers.length).toBeLessThanOrEqual(3);
      expect(made.numbers.every((each) => Number.isInteger(each) && each >= 0 && each <= 99)).toBe(true);
    }
  });
});

describe.skipIf(!hasBox)('a constraint', () => {
  it('of JSON gives an object', async () => {
    const { message, finish_reason: finish } = await ask(2, {
      response_format: { type: 'json_object' },
      max_completion_tokens: 400,
    });
    if (finish === 'stop') expect(JSON.parse(message.content!)).toBeTypeOf('object');
    expect(message.content).toMatch(/^\{/);
  });

  it('of a grammar gives a text of it, of generate() too', async () => {
    const grammar = 'root ::= ("yes" | "no") "!"';
    const { message } = await ask(0, { response_format: { type: 'grammar', grammar } });
    expect(message.content).toMatch(/^(yes|no)!$/);
    let text = '';
    for await (const piece of engine.generate('Once', { constraint: { kind: 'grammar', grammar } })) text += piece.text;
    expect(text).toMatch(/^(yes|no)!$/);
  });

  it('may begin after a token of the answer', async () => {
    const [after] = (await engine.tokenize('</tool_call>', { special: true, bos: 'off' })) as [number];
    const constraint = { kind: 'grammar' as const, grammar: 'root ::= ("yes" | "no") "!"', after };
    const logitBias = { [after]: 8 }; // that it comes at all
    const pieces: { text: string; token: number | null }[] = [];
    for await (const piece of engine.generate('Once', { constraint, logitBias, seed: 3 })) pieces.push(piece);
    const at = pieces.findIndex(({ token }) => token === after);
    expect(at).toBeGreaterThan(0);
    const text = pieces.slice(at + 1).map((piece) => piece.text);
    expect(text.join('')).toMatch(/^(yes|no)!$/);
    const wrong = engine.generate('Once', { constraint: { kind: 'json', after: -1 } });
    await expect(wrong.result).rejects.toMatchObject({ code: 'bad-argument' });
  });

  it('that cannot be kept is an error, and the engine goes on', async () => {
    const format = { type: 'json_schema' as const, json_schema: { name: 'a', schema: { not: {} } } };
    const message = expect.stringContaining('the schema.not is not supported');
    await expect(ask(0, { response_format: format })).rejects.toMatchObject({ code: 'bad-argument', message });
    expect((await ask(3, {})).message.content).toContain('Pronk Box');
  });
});
