// What a request lets its answer be, and schemas as they are kept.
import { describe, expect, it } from 'vitest';
import { ChatCompletions } from '../../src/api/openai/chat.js';
import type { ChatRequest } from '../../src/api/openai/types.js';
import { keptSchema } from '../../src/runtime/grammar/schema.js';
import { FakeTextEngine } from '../support/fake-text-engine.js';

const messages: ChatRequest['messages'] = [{ role: 'user', content: 'Hi' }];
const tool = (name: string, parameters?: Record<string, unknown>) => ({
  type: 'function' as const,
  function: { name, parameters },
});

async function constraintOf(request: Partial<ChatRequest>, engine = new FakeTextEngine()): Promise<unknown> {
  await new ChatCompletions(engine).create({ messages, ...request, stream: false });
  return engine.asked[0]!.options.constraint;
}

describe('the constraint of a request', () => {
  it('comes of response_format', async () => {
    const schema = { type: 'object', properties: {} };
    expect(await constraintOf({})).toBeUndefined();
    expect(await constraintOf({ response_format: { type: 'text' } })).toBeUndefined();
    expect(await constraintOf({ response_format: { type: 'json_object' } })).toEqual({ kind: 'json' });
    const format = { type: 'json_schema' as const, json_schema: { name: 'a', schema, strict: true } };
    expect(await constraintOf({ response_format: format })).toEqual({ kind: 'schema', schema });
    const grammar = { type: 'grammar' as const, grammar: 'root ::= "a"' };
    expect(await constraintOf({ response_format: grammar })).toEqual({ kind: 'grammar', grammar: 'root ::= "a"' });
  });

  it('comes of a tool choice that leaves no other, with one tool or all', async () => {
    const call = (name: string, given: object) => ({
      type: 'object',
      properties: { name: { const: name }, arguments: given },
      required: ['name', 'arguments'],
      additionalProperties: false,
    });
    const city = {
      type: 'object',
      properties: { city: { $ref: '#/$defs/city' } },
      $defs: { city: { type: 'string' } },
    };
    const tools = [tool('f', city), tool('g')];
    const g = call('g', { type: 'object', properties: {} });
    expect(await constraintOf({ tools, tool_choice: 'auto' })).toBeUndefined();
    expect(await constraintOf({ tools, tool_choice: 'required' })).toEqual({
      kind: 'schema',
      schema: { anyOf: [call('f', city), g], $defs: city.$defs },
    });
    const named = { type: 'function' as const, function: { name: 'g' } };
    expect(await constraintOf({ tools, tool_choice: named })).toEqual({ kind: 'schema', schema: { anyOf: [g] } });
    const other = tool('h', { $defs: { city: { type: 'number' } } });
    const clash = constraintOf({ tools: [...tools, other], tool_choice: 'required' });
    await expect(clash).rejects.toMatchObject({ field: 'tools[2].function.parameters.$defs.city' });
    const both = constraintOf({ tools, tool_choice: 'required', response_format: { type: 'json_object' } });
    await expect(both).rejects.toMatchObject({ field: 'response_format' });
  });

  it('makes the answer one call', async () => {
    const engine = new FakeTextEngine();
    engine.answers = [['{"name": "f", ', '"arguments": {"a": 1}}']];
    const request = { messages, tools: [tool('f')], tool_choice: 'required' as const };
    const { choices } = await new ChatCompletions(engine).create(request);
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ function: { name: 'f', arguments: '{"a": 1}' } }] },
    });
  });

  it('begins after the reasoning where the template has opened it, and what comes then is the answer', async () => {
    const opened = new FakeTextEngine();
    opened.chatTemplate = "{{ messages[0].content.split('</think>')[0] }}<think>\n";
    opened.special.push('</think>');
    opened.answers = [['Hm', '.\n', '</think>', '\n\n{"a": ', '"<think>"}']];
    const request = { messages, response_format: { type: 'json_object' as const } };
    const { choices } = await new ChatCompletions(opened).create(request);
    expect(choices[0]!.message).toMatchObject({ content: '{"a": "<think>"}', reasoning_content: 'Hm.\n' });
    expect(opened.asked[0]!.options.constraint).toEqual({ kind: 'json', after: opened.id('</think>') });

    opened.answers = [['I call', ' f', '</think>', '{"name": "f", ', '"arguments": {"a": "<think>"}}']];
    const forced = { messages, tools: [tool('f')], tool_choice: 'required' as const };
    expect((await new ChatCompletions(opened).create(forced)).choices[0]!.message).toMatchObject({
      content: null,
      reasoning_content: 'I call f',
      tool_calls: [{ function: { name: 'f', arguments: '{"a": "<think>"}' } }],
    });
  });

  it('begins at once where no token ends the reasoning, or the template has not opened it', async () => {
    const answers = [['{"a": 1}']];
    const template = "{{ messages[0].content.split('</think>')[0] }}<think>\n";
    const spelled = Object.assign(new FakeTextEngine(), { chatTemplate: template, answers });
    const closed = Object.assign(new FakeTextEngine(), { chatTemplate: `${template}\n</think>\n`, answers });
    closed.special.push('</think>');
    for (const engine of [spelled, closed]) {
      const format = { type: 'json_object' as const };
      const { choices } = await new ChatCompletions(engine).create({ messages, response_format: format });
      expect(engine.asked[0]!.options.constraint).toEqual({ kind: 'json' });
      expect(choices[0]!.message).toEqual({ role: 'assistant', content: '{"a": 1}', refusal: null });
    }
  });

  it('leaves JSON that looks like a call as it is', async () => {
    const engine = new FakeTextEngine();
    engine.answers = [['{"name": "f", "arguments": {}}']];
    const request = { messages, tools: [tool('f')], response_format: { type: 'json_object' as const } };
    const { choices } = await new ChatCompletions(engine).create(request);
    expect(choices[0]!.message).toMatchObject({ content: '{"name": "f", "arguments": {}}' });
  });
});

describe('keptSchema', () => {
  it('closes objects that list their properties, at all depths, unless they say else', () => {
    const inner = { type: 'object', properties: { b: true } };
    const open = { type: 'object', properties: {}, additionalProperties: true };
    const schema = { properties: { a: { items: inner }, o: open }, $defs: { i: inner } };
    const closed = { ...inner, additionalProperties: false };
    expect(keptSchema(schema)).toEqual({
      properties: { a: { items: closed }, o: open },
      $defs: { i: closed },
      additionalProperties: false,
    });
    expect(keptSchema({ type: 'object' })).toEqual({ type: 'object' });
  });

  it('takes names of properties for no keywords, and refuses keywords by their path', () => {
    expect(() => keptSchema({ properties: { not: {}, if: {} } })).not.toThrow();
    expect(() => keptSchema({ anyOf: [{}, { items: { multipleOf: 3 } }] })).toThrow(
      'the schema.anyOf[1].items.multipleOf is not supported',
    );
    expect(() => keptSchema({ $ref: 'other.json' })).toThrow('the schema.$ref is not a place within it');
    expect(() => keptSchema({ properties: { a: false } })).toThrow('the schema.properties.a is false');
    expect(() => keptSchema({ items: 7 })).toThrow('the schema.items is no object');
    let deep: object = {};
    for (let i = 0; i < 100; i++) deep = { items: deep };
    expect(() => keptSchema(deep)).toThrow('64 levels');
  });

  it('makes one of what stands beside anyOf, oneOf and allOf, which would be passed over', () => {
    const required = (...names: string[]) => ({ required: names });
    const properties = { a: { type: 'string' }, b: { type: 'string' } };
    const object = { type: 'object', properties, additionalProperties: false };
    expect(keptSchema({ ...object, title: 'T', anyOf: [required('a'), required('b')] })).toEqual({
      anyOf: [
        { ...object, title: 'T', ...required('a') },
        { ...object, title: 'T', ...required('b') },
      ],
    });
    expect(keptSchema({ allOf: [{ type: 'string' }, { minLength: 1 }, { maxLength: 3 }, true] })).toEqual({
      type: 'string',
      minLength: 1,
      maxLength: 3,
    });
    expect(keptSchema({ allOf: [{ properties: { a: true } }, { properties: { b: true }, required: ['b'] }] })).toEqual({
      properties: { a: true, b: true },
      required: ['b'],
      additionalProperties: false,
    });
    expect(keptSchema({ description: 'D', $defs: { d: { type: 'null' } }, anyOf: [{ $ref: '#/$defs/d' }] })).toEqual({
      description: 'D',
      $defs: { d: { type: 'null' } },
      anyOf: [{ $ref: '#/$defs/d' }],
    });
    for (const [schema, why] of [
      [{ type: 'string', anyOf: [{ type: 'number' }] }, 'has parts that differ in type'],
      [{ properties, anyOf: [{ additionalProperties: false }] }, 'speak of the same properties'],
      [{ type: 'object', allOf: [{ $ref: '#/$defs/a' }] }, 'has $ref beside others'],
      [{ anyOf: [{}], allOf: [{}] }, 'beside another of its kind'],
      [{ $ref: '#/$defs/a', minLength: 2 }, 'minLength is not supported beside $ref'],
      [{ propertyNames: {}, properties }, 'propertyNames is not supported beside properties'],
    ] as const) {
      expect(() => keptSchema(schema), JSON.stringify(schema)).toThrow(why);
    }
  });

  it('takes oneOf where no value can meet two of its parts', () => {
    const kind = (value: string) => ({ type: 'object', properties: { kind: { const: value } }, required: ['kind'] });
    for (const parts of [
      [{ type: 'string' }, { type: 'integer' }, { type: ['null', 'boolean'] }],
      [{ const: 1 }, { enum: [2, 'a'] }],
      [kind('a'), kind('b')],
    ]) {
      expect(keptSchema({ oneOf: parts })).toMatchObject({ anyOf: parts });
    }
    for (const parts of [
      [{ type: 'integer' }, { type: 'number' }],
      [kind('a'), kind('a')],
      [kind('a'), { ...kind('b'), required: [] }],
      [{ minimum: 2 }, {}],
    ]) {
      expect(() => keptSchema({ oneOf: parts })).toThrow('do not exclude each other');
    }
  });

  it('gives a bound of numbers their type, and refuses one that a double does not hold', () => {
    expect(keptSchema({ maximum: 3 })).toEqual({ type: 'number', maximum: 3 });
    expect(keptSchema({ type: 'integer', maximum: 3 })).toEqual({ type: 'integer', maximum: 3 });
    expect(() => keptSchema({ minimum: -1e20 })).toThrow('the schema.minimum is beyond 2^53');
    expect(() => keptSchema({ maximum: 3, exclusiveMaximum: true })).toThrow('exclusiveMaximum is not a number');
  });
});
