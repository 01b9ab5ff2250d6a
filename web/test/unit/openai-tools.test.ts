// The forms in which families of models call tools, read whole and character by character.
import { describe, expect, it } from 'vitest';
import { type AnswerParser, MarkedParser } from '../../src/api/openai/answer-parser.js';
import { ChatCompletions } from '../../src/api/openai/chat.js';
import { HarmonyParser } from '../../src/api/openai/harmony.js';
import type { Part } from '../../src/api/openai/tools/calls.js';
import { toolFormatOf } from '../../src/api/openai/tools/formats.js';
import type { ChatRequest } from '../../src/api/openai/types.js';
import { FakeTextEngine } from '../support/fake-text-engine.js';
import { chatMl } from '../support/tiny-gguf.js';

interface Read {
  content: string;
  calls: { name: string; arguments: unknown }[];
}

function gather(parts: Part[]): Read {
  let content = '';
  const calls: { name: string; text: string }[] = [];
  for (const part of parts) {
    if (part.kind === 'call') calls.push({ name: part.name, text: '' });
    else if (part.kind === 'arguments') calls.at(-1)!.text += part.text;
    else if (part.kind === 'content') content += part.text;
  }
  return { content, calls: calls.map(({ name, text }) => ({ name, arguments: JSON.parse(text) as unknown })) };
}

function read(make: () => AnswerParser, text: string): Read {
  const cuts = [1, 2, 3, 7, text.length || 1].map((size) => {
    const parser = make();
    const parts: Part[] = [];
    for (let i = 0; i < text.length; i += size) parts.push(...parser.push(text.slice(i, i + size)));
    return gather([...parts, ...parser.end()]);
  });
  for (const cut of cuts) expect(cut).toEqual(cuts[0]); // however the text is cut into tokens
  return cuts[0]!;
}

const oslo = { name: 'get_weather', arguments: { city: 'Oslo', days: 2 } };
const rome = { name: 'get_time', arguments: { city: 'Rome "x" {}' } };
const json = (call: typeof oslo | typeof rome, key = 'arguments') =>
  JSON.stringify({ name: call.name, [key]: call.arguments });

// name, a piece of its template, an answer with two calls (or one), what is said before
const forms: [string, string, string, (typeof oslo | typeof rome)[], string][] = [
  [
    'hermes',
    '<tool_call>',
    `Let me look.\n<tool_call>\n${json(oslo)}\n</tool_call>\n<tool_call>\n${json(rome)}\n</tool_call>`,
    [oslo, rome],
    'Let me look.',
  ],
  [
    'hermes',
    '<tool_call>',
    `<tool_call>{"arguments": ${JSON.stringify(oslo.arguments)}, "name": "get_weather"}`,
    [oslo],
    '',
  ],
  [
    'function-tags',
    '<tool_call><function=',
    '<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>',
    [oslo],
    '',
  ],
  ['llama3', '<|start_header_id|>', json(oslo, 'parameters'), [oslo], ''],
  ['llama3', '<|start_header_id|>', `${json(oslo, 'parameters')}; ${json(rome, 'parameters')}`, [oslo, rome], ''],
  [
    'llama3',
    '<|start_header_id|>',
    `<|python_tag|>{"type": "function", "name": "get_weather", "parameters": ${JSON.stringify(oslo.arguments)}}`,
    [oslo],
    '',
  ],
  ['mistral', '[TOOL_CALLS]', `[TOOL_CALLS] [${json(oslo)}, ${json(rome)}]`, [oslo, rome], ''],
  [
    'mistral',
    '[TOOL_CALLS]',
    `Well.[TOOL_CALLS]get_weather[ARGS]{"city": "Oslo", "days": 2}[TOOL_CALLS]get_time[ARGS]${JSON.stringify(rome.arguments)}`,
    [oslo, rome],
    'Well.',
  ],
  ['granite', '<|tool_call|>', `<|tool_call|>[${json(oslo)}, ${json(rome)}]`, [oslo, rome], ''],
  ['granite', '<|tool_call|>', `<tool_call>${json(oslo)}</tool_call>`, [oslo], ''],
  [
    'lfm2',
    '<|tool_list_start|>',
    'Yes.<|tool_call_start|>[get_weather(city="Oslo", days=2), get_time(city=\'Rome "x" {}\')]<|tool_call_end|>',
    [oslo, rome],
    'Yes.',
  ],
  ['gemma', '<start_of_turn>', '```tool_code\nget_weather(city="Oslo", days=2)\n```', [oslo], ''],
  ['gemma', '<start_of_turn>', json(oslo, 'parameters'), [oslo], ''],
  [
    'function-gemma',
    '<start_function_call>',
    '<start_function_call>call:get_weather{city:<escape>Oslo<escape>,days:2}<end_function_call>',
    [oslo],
    '',
  ],
  ['any', 'nothing', `<tool_call>${json(oslo)}</tool_call>`, [oslo], ''],
];

describe('a call', () => {
  it.each(forms)('in the form of %s (%s): %s', (name, template, text, calls, content) => {
    const format = toolFormatOf(template);
    expect(format.name).toBe(name);
    expect(read(() => new MarkedParser(null, format), text)).toEqual({ calls, content });
  });

  it('in the channels of gpt-oss', () => {
    const text =
      '<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather ' +
      `<|constrain|>json<|message|>${JSON.stringify(oslo.arguments)}<|call|>`;
    expect(read(() => new HarmonyParser(), text)).toEqual({ calls: [oslo], content: '' });
    const parser = new HarmonyParser();
    const parts = parser.push(
      '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.',
    );
    expect([...parts, ...parser.end()]).toEqual([
      { kind: 'reasoning', text: 'Hm.' },
      { kind: 'content', text: 'Yes.' },
    ]);
  });

  it('has its arguments handed on while they come', () => {
    const parser = new MarkedParser(null, toolFormatOf('<tool_call>'));
    parser.push('<tool_call>{"name": "f", "arguments": {"a');
    expect(parser.push('": 1, "b')).toEqual([{ kind: 'arguments', text: '": 1, "b' }]);
  });

  it('without arguments has an empty object', () => {
    const read2 = read(
      () => new MarkedParser(null, toolFormatOf('<tool_call>')),
      '<tool_call>{"name": "f"}</tool_call>',
    );
    expect(read2.calls).toEqual([{ name: 'f', arguments: {} }]);
  });
});

describe('what is no call stays text', () => {
  it.each([
    ['<tool_call>', '<tool_call>oops</tool_call>'],
    ['<tool_call>', 'a < b <tool'],
    ['<|start_header_id|>', '{"city": "Oslo", "list": [1, {"a": 2}]}'],
    ['<|start_header_id|>', '{"name'],
    ['<|tool_list_start|>', '<|tool_call_start|>oh no<|tool_call_end|>'],
    ['[TOOL_CALLS]', '[TOOL_CALLS]hm'],
    ['<start_of_turn>', '```python\nprint(1)\n```'],
  ])('%s: %s', (template, text) => {
    expect(read(() => new MarkedParser(null, toolFormatOf(template)), text)).toEqual({ calls: [], content: text });
  });
});

describe('chat.completions', () => {
  const tools: ChatRequest['tools'] = [
    { type: 'function', function: { name: 'get_weather', description: 'Weather', parameters: { type: 'object' } } },
  ];
  const messages: ChatRequest['messages'] = [{ role: 'user', content: 'Weather?' }];

  function engineThatCalls(): FakeTextEngine {
    const engine = new FakeTextEngine();
    engine.chatTemplate = `{{ tools | tojson if tools else '' }}${chatMl}{{ '' if true else '<tool_call>' }}`;
    engine.hidden = ['</tool_call>'];
    engine.answers = [
      [
        '<tool_call>',
        '{"name": "get_',
        'weather", "arguments": {"city"',
        ': "Oslo"}}',
        '</tool_call>',
        '\n',
        '<tool_call>{"name": "g"}',
        '</tool_call>',
      ],
    ];
    return engine;
  }

  it('gives calls with ids, and says so at the end', async () => {
    const engine = engineThatCalls();
    const { choices } = await new ChatCompletions(engine).create({ messages, tools });
    const id = expect.stringMatching(/^call_[a-z0-9]{15}$/);
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: null,
        tool_calls: [
          { id, type: 'function', function: { name: 'get_weather', arguments: '{"city": "Oslo"}' } },
          { id, type: 'function', function: { name: 'g', arguments: '{}' } },
        ],
      },
    });
    expect(engine.asked[0]!.text).toContain('get_weather');
  });

  it('gives one call where they are not to be parallel', async () => {
    const { choices } = await new ChatCompletions(engineThatCalls()).create({
      messages,
      tools,
      parallel_tool_calls: false,
    });
    expect(choices[0]!.message.tool_calls!.map(({ function: { name } }) => name)).toEqual(['get_weather']);
  });

  it('streams them', async () => {
    const stream = await new ChatCompletions(engineThatCalls()).create({ messages, tools, stream: true });
    const deltas = [];
    for await (const { choices } of stream) deltas.push(...(choices[0]!.delta.tool_calls ?? []));
    expect(deltas).toEqual([
      { index: 0, id: expect.any(String), type: 'function', function: { name: 'get_weather', arguments: '' } },
      { index: 0, function: { arguments: '{"city"' } },
      { index: 0, function: { arguments: ': "Oslo"}' } },
      { index: 1, id: expect.any(String), type: 'function', function: { name: 'g', arguments: '' } },
      { index: 1, function: { arguments: '{}' } },
    ]);
  });

  it('offers and reads none with the choice none', async () => {
    const engine = engineThatCalls();
    const { choices } = await new ChatCompletions(engine).create({ messages, tools, tool_choice: 'none' });
    expect(engine.asked[0]!.text).not.toContain('get_weather');
    expect(choices[0]).toMatchObject({
      finish_reason: 'stop',
      message: { content: expect.stringContaining('<tool_call>') },
    });
  });

  it('gives a call of the history to the template as an object', async () => {
    const engine = engineThatCalls();
    engine.chatTemplate =
      '{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments.city }}{% endfor %}{{ m.content }}{% endfor %}';
    const call = { id: '1', type: 'function' as const, function: { name: 'f', arguments: '{"city": "Oslo"}' } };
    const history: ChatRequest['messages'] = [
      ...messages,
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: '1', content: 'rain' },
    ];
    await new ChatCompletions(engine).create({ messages: history });
    expect(engine.asked[0]!.text).toBe('Weather?Oslorain');
  });
});
