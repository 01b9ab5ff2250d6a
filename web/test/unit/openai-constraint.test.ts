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
    const schema = { properties: { a: { items: inner }, o: open }, $defs: { i: inner }, anyOf: [inner] };
    const closed = { ...inner, additionalProperties: false };
    expect(keptSchema(schema)).toEqual({
      properties: { a: { items: closed }, o: open },
      $defs: { i: closed },
      anyOf: [closed],
      additionalProperties: false,
    });
    expect(keptSchema({ type: 'object' })).toEqual({ type: 'object' });
  });

  it('takes names of properties for no keywords, and refuses keywords by their path', () => {
    expect(() => keptSchema({ properties: { not: {}, if: {} } })).not.toThrow();
    expect(() => keptSchema({ anyOf: [{}, { items: { multipleOf: 3 } }] })).toThrow(
      'the schema.anyOf[1].items.multipleOf is not supported',
    );
    expect(() => keptSchema({ $ref: 'other.json' })).toThrow('the schema.$ref is not within it');
    expect(() => keptSchema({ items: 7 })).toThrow('the schema.items is no object');
    let deep: object = {};
    for (let i = 0; i < 100; i++) deep = { items: deep };
    expect(() => keptSchema(deep)).toThrow('64 levels');
  });
});
