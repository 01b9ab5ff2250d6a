// How the chat page turns a conversation into tokens.
import { describe, expect, it } from 'vitest';
import { chatPrompt, storyPrompt, type Turn } from '../../../demo/src/prompt.js';
import type { TokenizeOptions } from '../../src/api/index.js';
import { chatMl } from '../support/tiny-gguf.js';

function fakeEngine(chatTemplate: string, contextLength: number, asked: [string, TokenizeOptions][] = []): never {
  return {
    chatTemplate,
    specialTokens: { bos: '<s>', eos: '</s>' },
    plan: { contextLength },
    tokenize: async (text: string, options: TokenizeOptions = {}) => {
      asked.push([text, options]);
      return Array.from(text, (character) => character.charCodeAt(0));
    },
  } as never;
}

describe('chatPrompt', () => {
  const turns: Turn[] = [
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'Why?' },
  ];

  it('renders the template and has special tokens parsed', async () => {
    const asked: [string, TokenizeOptions][] = [];
    await chatPrompt(fakeEngine(chatMl, 4096, asked), turns.slice(0, 2));
    expect(asked).toEqual([
      [
        '<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
        { special: true, bos: 'auto' },
      ],
    ]);
  });

  it('does not begin twice where the template writes the begin token', async () => {
    const asked: [string, TokenizeOptions][] = [];
    await chatPrompt(fakeEngine(`{{ bos_token }}${chatMl}`, 4096, asked), turns);
    expect(asked[0]![0].startsWith('<s><|im_start|>')).toBe(true);
    expect(asked[0]![1].bos).toBe('off');
  });

  it('leaves out the oldest turns that do not fit, never the system prompt', async () => {
    const asked: [string, TokenizeOptions][] = [];
    const { left, tokens } = await chatPrompt(fakeEngine(chatMl, 160, asked), turns);
    expect(left).toBe(1);
    expect(tokens.length).toBeLessThanOrEqual(120);
    expect(asked.at(-1)![0]).toContain('Be kind.');
    expect(asked.at(-1)![0]).not.toContain('Hello');
    expect(asked.at(-1)![0]).toContain('Why?');
    await expect(chatPrompt(fakeEngine(chatMl, 20), turns)).rejects.toThrow('too long');
  });

  it('says when a template fails', async () => {
    const failing = "{{ raise_exception('roles must alternate') }}";
    await expect(chatPrompt(fakeEngine(failing, 4096), turns)).rejects.toThrow('roles must alternate');
  });
});

describe('storyPrompt', () => {
  it('keeps the end of what is too long', async () => {
    expect(await storyPrompt(fakeEngine('', 100), 'abc')).toEqual({ tokens: [97, 98, 99], left: 0 });
    expect((await storyPrompt(fakeEngine('', 100), `${'x'.repeat(200)}end`)).tokens.slice(-3)).toEqual([101, 110, 100]);
  });
});
