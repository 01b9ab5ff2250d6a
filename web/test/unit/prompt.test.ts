// How the chat page turns a conversation into a request.
import { describe, expect, it } from 'vitest';
import type { Message } from '../../../demo/src/message.js';
import { type Chat, chatRequest, leftOut, parseSchema, storyPrompt } from '../../../demo/src/prompt.js';
import type { Sampling } from '../../../demo/src/sampling-type.js';

/** An engine with a token a character. */
function fakeEngine(contextLength: number, asked: string[] = []) {
  return {
    plan: { contextLength },
    tokenize: async (text: string) => {
      asked.push(text);
      return Array.from(text, (character) => character.charCodeAt(0));
    },
  };
}

type Turn = Partial<Message> & Pick<Message, 'role' | 'text'>;

const plain: Sampling = {
  system: '',
  temperature: null,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetition: 1,
  maxTokens: 1024,
  seed: null,
  thinking: 'auto',
  form: 'text',
  schema: '',
  probabilities: false,
};

function chatOf(turns: Turn[], sampling: Partial<Sampling> = {}, part: Partial<Chat> = {}): Chat {
  const messages = turns.map((turn, i) => ({ id: i + 1, parent: i || null, story: false, figures: null, ...turn }));
  return { turns: messages, tools: [], sampling: { ...plain, ...sampling }, temperature: 0.5, ...part };
}

/** A dialogue that ends with a question; each turn has about `length` characters. */
function dialogue(questions: number, length: number): Turn[] {
  const turns: Turn[] = [];
  for (let i = 1; i <= questions; i++) {
    turns.push({ role: 'user', text: `question ${i} `.padEnd(length, 'q') });
    turns.push({ role: 'assistant', text: `answer ${i} `.padEnd(length, 'a') });
  }
  return turns.slice(0, -1);
}

describe('leftOut', () => {
  const turns: Turn[] = [
    { role: 'user', text: 'Hi' },
    { role: 'assistant', text: 'Hello' },
    { role: 'user', text: 'Why?' },
  ];

  it('leaves out the oldest turns that do not fit, and begins with a question', async () => {
    expect(await leftOut(fakeEngine(4096), chatOf(turns), 0)).toEqual({ left: 0, tokens: 11 + 3 * 8 });
    expect(await leftOut(fakeEngine(40), chatOf(turns), 0)).toEqual({ left: 2, tokens: 12 });
    await expect(leftOut(fakeEngine(12), chatOf(turns), 0)).rejects.toThrow('too long');
    const system = 'x'.repeat(3000); // never left out
    await expect(leftOut(fakeEngine(3000), chatOf(turns, { system }), 0)).rejects.toThrow('too long');
  });

  it('keeps as much as is of use', async () => {
    const long = chatOf(dialogue(100, 100));
    const { left } = await leftOut(fakeEngine(4096), long, 0);
    const kept = long.turns.slice(left).reduce((sum, { text }) => sum + text.length, 0);
    expect(long.turns[left]!.role).toBe('user');
    expect(kept).toBeLessThanOrEqual(4096 - 512);
    expect(kept).toBeGreaterThan(2000);
  });

  it('counts a message once, and moves on in large steps', async () => {
    const all = chatOf(dialogue(200, 60)).turns;
    const asked: string[] = [];
    const engine = fakeEngine(4096, asked);
    let left = 0;
    let moves = 0;
    for (let end = 1; end <= all.length; end += 2) {
      const { left: next } = await leftOut(engine, { ...chatOf([]), turns: all.slice(0, end) }, left);
      expect(next).toBeGreaterThanOrEqual(left);
      if (next !== left) moves++;
      left = next;
    }
    expect(left).toBeGreaterThan(300);
    expect(moves).toBeLessThanOrEqual(40);
    expect(asked.filter((text) => text !== '').length).toBe(all.length);
  });
});

describe('chatRequest', () => {
  it('makes one of two questions in a row, which many templates refuse', () => {
    const twice: Turn[] = [
      { role: 'user', text: 'Hi' },
      { role: 'user', text: 'Are you there?' },
    ];
    expect(chatRequest(chatOf(twice, { system: ' Be kind. ' }), 0).messages).toEqual([
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Hi\n\nAre you there?' },
    ]);
    expect(chatRequest(chatOf(twice), 1).messages).toEqual([{ role: 'user', content: 'Are you there?' }]);
  });

  it('gives calls and their results back', () => {
    const call = { id: 'call_1', type: 'function' as const, function: { name: 'get_time', arguments: '{}' } };
    const turns: Turn[] = [
      { role: 'user', text: 'When?' },
      { role: 'assistant', text: '', calls: [call] },
      { role: 'tool', text: '{"time": "10:00"}', callId: 'call_1' },
    ];
    expect(chatRequest(chatOf(turns), 0).messages.slice(1)).toEqual([
      { role: 'assistant', content: '', tool_calls: [call] },
      { role: 'tool', content: '{"time": "10:00"}', tool_call_id: 'call_1' },
    ]);
  });

  it('asks for what the settings say', () => {
    const turns: Turn[] = [{ role: 'user', text: 'Hi' }];
    const tool = { type: 'function' as const, function: { name: 'f' } };
    const bare = chatRequest(chatOf(turns, {}, { tools: [tool] }), 0);
    expect(bare).toMatchObject({ temperature: 0.5, top_k: 40, max_completion_tokens: 1024, tools: [tool] });
    for (const field of ['seed', 'logprobs', 'enable_thinking', 'response_format', 'chat_template']) {
      expect(bare).not.toHaveProperty(field);
    }
    const full: Partial<Sampling> = {
      seed: 0,
      thinking: 'off',
      form: 'schema',
      schema: '{"type": "null"}',
      repetition: 1.2,
    };
    const asked = chatRequest(chatOf(turns, { ...full, probabilities: true }, { tools: [tool], template: '' }), 0);
    expect(asked).toMatchObject({ seed: 0, enable_thinking: false, logprobs: true, chat_template: '' });
    expect(asked).toMatchObject({
      response_format: { json_schema: { schema: { type: 'null' } } },
      repetition_penalty: 1.2,
    });
    expect(asked).not.toHaveProperty('tools');
  });

  it('says what is wrong with a schema', () => {
    expect(() => parseSchema('{')).toThrow('cannot be read');
    expect(() => parseSchema('[]')).toThrow('is not an object');
  });
});

describe('storyPrompt', () => {
  it('keeps the end of what is too long', async () => {
    expect(await storyPrompt(fakeEngine(100), 'abc')).toEqual({ tokens: [97, 98, 99], left: 0 });
    expect((await storyPrompt(fakeEngine(100), `${'x'.repeat(200)}end`)).tokens.slice(-3)).toEqual([101, 110, 100]);
  });
});
