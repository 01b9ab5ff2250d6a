// How the chat page turns a conversation into tokens.
import { describe, expect, it } from 'vitest';
import { type Chat, chatPrompt, plainEnd, plainTemplate, storyPrompt, type Turn } from '../../../demo/src/prompt.js';
import type { TokenizeOptions } from '../../src/api/index.js';
import { render } from '../support/render.js';
import { chatMl } from '../support/tiny-gguf.js';

type Asked = [string, TokenizeOptions][];

/** An engine with a token a character. */
function fakeEngine(contextLength: number, asked: Asked = []): never {
  return {
    specialTokens: { bos: '<s>', eos: '</s>' },
    plan: { contextLength },
    tokenize: async (text: string, options: TokenizeOptions = {}) => {
      asked.push([text, options]);
      return Array.from(text, (character) => character.charCodeAt(0));
    },
  } as never;
}

const chatOf = (turns: Turn[], part: Partial<Chat> = {}): Chat => ({
  system: '',
  turns,
  tools: [],
  template: chatMl,
  left: 0,
  ...part,
});

/** A dialogue that ends with a question; each turn has about `length` characters. */
function dialogue(questions: number, length: number): Turn[] {
  const turns: Turn[] = [];
  for (let i = 1; i <= questions; i++) {
    turns.push({ role: 'user', content: `question ${i} `.padEnd(length, 'q') });
    turns.push({ role: 'assistant', content: `answer ${i} `.padEnd(length, 'a') });
  }
  return turns.slice(0, -1);
}

describe('chatPrompt', () => {
  const turns: Turn[] = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'Why?' },
  ];

  it('renders the template and has special tokens parsed', async () => {
    const asked: Asked = [];
    await chatPrompt(fakeEngine(4096, asked), chatOf(turns.slice(0, 1), { system: 'Be kind.' }), render);
    expect(asked).toEqual([
      [
        '<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
        { special: true, bos: 'auto' },
      ],
    ]);
  });

  it('does not begin twice where the template writes the begin token', async () => {
    const asked: Asked = [];
    await chatPrompt(fakeEngine(4096, asked), chatOf(turns, { template: `{{ bos_token }}${chatMl}` }), render);
    expect(asked[0]![0].startsWith('<s><|im_start|>')).toBe(true);
    expect(asked[0]![1].bos).toBe('off');
  });

  it('leaves out the oldest turns that do not fit, never the system prompt', async () => {
    const asked: Asked = [];
    const chat = chatOf(turns, { system: 'Be kind.' });
    const { left, tokens } = await chatPrompt(fakeEngine(160, asked), chat, render);
    expect(left).toBe(2);
    expect(tokens.length).toBeLessThanOrEqual(120);
    expect(asked.at(-1)![0]).toContain('Be kind.');
    expect(asked.at(-1)![0]).not.toContain('Hello');
    expect(asked.at(-1)![0]).toContain('Why?');
    await expect(chatPrompt(fakeEngine(20), chat, render)).rejects.toThrow('too long');
  });

  it('renders and tokenizes a long conversation a few times, however many turns do not fit', async () => {
    for (const lengths of [[100], [10, 1000], [400, 20]]) {
      const asked: Asked = [];
      let rendered = 0;
      const counted = (template: string, values: Record<string, unknown>): Promise<string> => {
        rendered++;
        return render(template, values);
      };
      const long = dialogue(100, 10).map((turn, i) => ({
        ...turn,
        content: turn.content.padEnd(lengths[i % lengths.length]!),
      }));
      const { left, tokens } = await chatPrompt(fakeEngine(4096, asked), chatOf(long), counted);
      expect(left).toBeGreaterThan(100);
      expect(tokens.length).toBeLessThanOrEqual(4096 - 512);
      expect(tokens.length).toBeGreaterThan(1000); // it does not give up more than it needs to make room
      expect(rendered).toBeLessThanOrEqual(3);
      expect(asked.length).toBe(rendered);
    }
  });

  it('leaves out turns in large steps, so that most prompts begin as the one before and are rendered once', async () => {
    const all = dialogue(200, 60);
    const asked: Asked = [];
    let left = 0;
    let before = '';
    let same = 0;
    let times = 0;
    for (let end = 1; end <= all.length; end += 2) {
      const prompt = await chatPrompt(fakeEngine(4096, asked), chatOf(all.slice(0, end), { left }), render);
      const text = String.fromCharCode(...prompt.tokens);
      if (text.startsWith(before)) same++;
      expect(prompt.left).toBeGreaterThanOrEqual(left);
      before = text;
      left = prompt.left;
      times++;
    }
    expect(left).toBeGreaterThan(300);
    // 18 KB and more were said in steps of a quarter of 3.5 KB.
    expect(times - same).toBeLessThanOrEqual(40);
    expect(asked.length - times).toBeLessThanOrEqual(80);
  });

  it('makes one of two questions in a row, which many templates refuse', async () => {
    const asked: Asked = [];
    const twice: Turn[] = [
      { role: 'user', content: 'Hi' },
      { role: 'user', content: 'Are you there?' },
    ];
    await chatPrompt(fakeEngine(4096, asked), chatOf(twice), render);
    expect(asked[0]![0]).toBe('<|im_start|>user\nHi\n\nAre you there?<|im_end|>\n<|im_start|>assistant\n');
  });

  it('can do without a template', async () => {
    const asked: Asked = [];
    await chatPrompt(fakeEngine(4096, asked), chatOf(turns, { system: 'Be kind.', template: plainTemplate }), render);
    expect(asked[0]![0]).toBe('System: Be kind.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Why?\n\nAssistant:');
    expect(' Because.\n\nUser: And'.search(plainEnd)).toBe(' Because.'.length);
  });
});

describe('storyPrompt', () => {
  it('keeps the end of what is too long', async () => {
    expect(await storyPrompt(fakeEngine(100), 'abc')).toEqual({ tokens: [97, 98, 99], left: 0 });
    expect((await storyPrompt(fakeEngine(100), `${'x'.repeat(200)}end`)).tokens.slice(-3)).toEqual([101, 110, 100]);
  });
});
