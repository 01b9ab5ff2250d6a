// pronk/ai-sdk with the package `ai` as it is, over the model in the box on the CPU.
import { embedMany, generateObject, generateText, isStepCount, jsonSchema, Output, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pronk as PronkType } from '../../src/api/node.js';
import { boxGolden } from '../support/golden.js';

const dist = '../../dist/api';
const { Pronk } = (await import(`${dist}/node.js`).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');
const { embeddingModel, languageModel } = (await import(
  `${dist}/ai-sdk.js`
)) as typeof import('../../src/api/ai-sdk.js');

const hasBox = boxGolden() !== null;
let engine: PronkType;
beforeAll(async () => {
  if (hasBox) engine = await Pronk.load('builtin', { device: 'cpu', threads: 1 });
});
afterAll(() => engine?.unload());

const whoIs = 'I am Pronk Box. I am a tiny language model inside your browser tab.';
const citySchema = jsonSchema<{ city: string }>({
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 } },
  required: ['city'],
  additionalProperties: false,
});
const weather = tool({
  description: 'Get the weather in a city',
  inputSchema: citySchema,
  execute: async ({ city }) => ({ city, weather: 'sunny', temperature: 21 }),
});

describe.skipIf(!hasBox)('the AI SDK', () => {
  it('gets a text with its usage', async () => {
    const { text, usage, finishReason, response } = await generateText({
      model: languageModel(engine),
      prompt: 'Who are you?',
      temperature: 0,
    });
    expect(text).toBe(whoIs);
    expect(finishReason).toBe('stop');
    expect(usage.inputTokens).toBe(12);
    expect(usage.outputTokens).toBeGreaterThan(10);
    expect(response.modelId).toBe('Pronk Box');
  });

  it('gets the same in pieces, from a session too', async () => {
    const session = await engine.session();
    const { textStream, usage } = streamText({ model: languageModel(session), prompt: 'Who are you?', temperature: 0 });
    const pieces: string[] = [];
    for await (const piece of textStream) pieces.push(piece);
    expect(pieces.join('')).toBe(whoIs);
    expect(pieces.length).toBeGreaterThan(3);
    expect((await usage).totalTokens).toBeGreaterThan(22);
    await session.close();
  });

  it('lets the model call a tool and put its result into words', async () => {
    const { text, steps } = await generateText({
      model: languageModel(engine),
      prompt: 'What is the weather in Paris?',
      tools: { get_weather: weather },
      stopWhen: isStepCount(2),
      temperature: 0,
      maxOutputTokens: 60,
    });
    expect(steps[0]!.finishReason).toBe('tool-calls');
    expect(steps[0]!.toolCalls).toMatchObject([{ toolName: 'get_weather', input: { city: 'Paris' } }]);
    expect(text).toContain('Paris');
  });

  it('streams the parts of a call that must be made', async () => {
    const { stream } = streamText({
      model: languageModel(engine),
      prompt: 'Hello',
      tools: { get_weather: tool({ inputSchema: citySchema }) },
      toolChoice: { type: 'tool', toolName: 'get_weather' },
      temperature: 0,
      maxOutputTokens: 60,
    });
    const types: string[] = [];
    let input: unknown;
    for await (const part of stream) {
      if (types.at(-1) !== part.type) types.push(part.type);
      if (part.type === 'tool-call') input = part.input;
    }
    expect(types.join(' ')).toContain('tool-input-start tool-input-delta tool-input-end tool-call');
    expect(input).toEqual({ city: expect.any(String) });
  });

  it('gets an object of a schema', async () => {
    const schema = jsonSchema<{ city: string }>(citySchema.jsonSchema as object);
    const prompt = 'What is the weather in Paris?';
    const model = languageModel(engine);
    const { object } = await generateObject({ model, schema, prompt, temperature: 0, maxOutputTokens: 60 });
    expect(object).toEqual({ city: expect.any(String) });
    const { output } = await generateText({ model, prompt, output: Output.object({ schema }), temperature: 0 });
    expect(output).toEqual({ city: expect.any(String) });
  });

  it('passes on what only pronk has, and errors of requests', async () => {
    const model = languageModel(engine);
    const further = (pronk: Record<string, number>) =>
      generateText({ model, prompt: 'Who are you?', temperature: 0, maxRetries: 0, providerOptions: { pronk } });
    expect((await further({ repetition_penalty: 1 })).text).toBe(whoIs);
    await expect(further({ mirostat: 2 })).rejects.toThrow('mirostat: is not supported');
  });

  it('ends an answer that is aborted, and the engine is free for the next', async () => {
    const abort = new AbortController();
    const model = languageModel(engine);
    const long = generateText({ model, prompt: 'Tell me a story', abortSignal: abort.signal, maxRetries: 0 });
    abort.abort();
    await expect(long).rejects.toThrow();
    expect((await generateText({ model, prompt: 'Who are you?', temperature: 0 })).text).toBe(whoIs);
  });

  it('gets embeddings', async () => {
    const embedder = await Pronk.load('builtin', { device: 'cpu', threads: 1, embeddings: true, contextSize: 64 });
    const { embeddings, usage } = await embedMany({ model: embeddingModel(embedder), values: ['a cat', 'a dog'] });
    expect(embeddings.map((vector) => Math.hypot(...vector))).toEqual([expect.closeTo(1), expect.closeTo(1)]);
    expect(usage.tokens).toBeGreaterThan(3);
    await embedder.unload();
  });
});
