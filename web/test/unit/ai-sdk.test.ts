// pronk/ai-sdk with the package `ai` as it is, over a model that reasons aloud and whose template opens it.
import { generateText, jsonSchema, Output, streamText } from 'ai';
import { describe, expect, it } from 'vitest';
import { languageModel } from '../../src/api/ai-sdk.js';
import { ChatCompletions } from '../../src/api/openai/chat.js';
import { FakeTextEngine } from '../support/fake-text-engine.js';

const template =
  "{% for m in messages %}{{ m.role }}:{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{{ m.content.split('</think>')[-1] }}\n" +
  '{% endfor %}assistant:<think>\n{% if enable_thinking is false %}\n</think>\n{% endif %}';

function reasoning(...answers: string[][]) {
  const engine = Object.assign(new FakeTextEngine(), { chatTemplate: template, answers });
  engine.special.push('<think>', '</think>');
  const { plan } = engine;
  return { engine, model: languageModel({ plan, chat: { completions: new ChatCompletions(engine) } }) };
}
const thought = ['Hm', ', 4', '.\n', '</think>', '\n\n'];

describe('the AI SDK, of a model that reasons', () => {
  it('gets thoughts and answer apart, and gives both back', async () => {
    const { engine, model } = reasoning([...thought, 'Four', '.']);
    const { text, reasoningText, response } = await generateText({ model, prompt: 'What is 2 + 2?' });
    expect([reasoningText, text]).toEqual(['Hm, 4.\n', 'Four.']);
    const messages = [{ role: 'user' as const, content: 'A' }, ...response.messages];
    await generateText({ model, messages: [...messages, { role: 'user', content: 'Why?' }] });
    expect(engine.asked[1]!.text).toBe('user:A\nassistant:(Hm, 4.\n)Four.\nuser:Why?\nassistant:<think>\n');
  });

  it('gets them as parts of a stream', async () => {
    const { stream } = streamText({ model: reasoning([...thought, 'Four', '.']).model, prompt: 'What is 2 + 2?' });
    const types: string[] = [];
    const texts: Record<string, string> = { 'reasoning-delta': '', 'text-delta': '' };
    for await (const part of stream) {
      if (types.at(-1) !== part.type) types.push(part.type);
      if (part.type === 'reasoning-delta' || part.type === 'text-delta') texts[part.type] += part.text;
    }
    expect(texts).toEqual({ 'reasoning-delta': 'Hm, 4.\n', 'text-delta': 'Four.' });
    const order = 'reasoning-start reasoning-delta reasoning-end text-start text-delta text-end';
    expect(types.join(' ')).toContain(order);
  });

  it('can leave the thoughts out', async () => {
    const { engine, model } = reasoning(['Four', '.']);
    const { text, reasoningText } = await generateText({ model, prompt: 'What is 2 + 2?', reasoning: 'none' });
    expect([reasoningText, text]).toEqual([undefined, 'Four.']);
    expect(engine.asked[0]!.text).toMatch(/<\/think>\n$/);
  });

  it('gets an object of a schema behind its thoughts', async () => {
    const { engine, model } = reasoning([...thought, '{"sum": ', '4}']);
    const schema = jsonSchema<{ sum: number }>({ type: 'object', properties: { sum: { type: 'number' } } });
    const { output, reasoningText } = await generateText({ model, prompt: '2 + 2', output: Output.object({ schema }) });
    expect(output).toEqual({ sum: 4 });
    expect(reasoningText).toBe('Hm, 4.\n');
    expect(engine.asked[0]!.options.constraint).toMatchObject({ kind: 'schema', after: engine.id('</think>') });
  });
});
