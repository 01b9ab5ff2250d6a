// Several conversations on one engine, and such as were saved, over the built package.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { ChatMessage, LoadOptions, Pronk as PronkType } from '../../src/api/node.js';
import { boxGolden } from '../support/golden.js';

const built = '../../dist/api/node.js';
const { Pronk } = (await import(built).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');

const archs = fileURLToPath(new URL('../../../../shared/vectors/archs/models/', import.meta.url));
const hasBox = boxGolden() !== null;

const opened: PronkType[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.unload()));
});
async function load(model: string, options: LoadOptions): Promise<PronkType> {
  const engine = await Pronk.load(model, { threads: 1, contextSize: 512, memoryBudget: 1e9, ...options });
  opened.push(engine);
  return engine;
}

const user = (content: string) => ({ role: 'user' as const, content });
const questions = ['Who are you?', 'What is the weather in Paris?', 'Tell me a story about a dog.'];
const greedy = { temperature: 0, max_completion_tokens: 24 };

type Chat = Pick<PronkType, 'chat'>;
async function say(chat: Chat, question: string, ...further: ChatMessage[]): Promise<[string, number]> {
  const messages = [user(question), ...further];
  const { choices, usage } = await chat.chat.completions.create({ messages, ...greedy });
  return [choices[0]!.message.content!, usage.prompt_tokens_details.cached_tokens];
}

describe.skipIf(!hasBox)('sessions of the model in the box', () => {
  it('talk at once, each as it would alone, and find their own caches', async () => {
    const engine = await load('builtin', { device: 'cpu' });
    const alone: string[] = [];
    for (const question of questions) alone.push((await say(engine, question))[0]);
    const sessions = await Promise.all(questions.map(() => engine.session()));
    const answers = await Promise.all(sessions.map((session, i) => say(session, questions[i]!)));
    expect(answers.map(([text]) => text)).toEqual(alone);
    const again = await Promise.all(
      sessions.map((session, i) =>
        say(session, questions[i]!, { role: 'assistant', content: alone[i]! }, user('And then?')),
      ),
    );
    for (const [, cached] of again) expect(cached).toBeGreaterThan(20);
    expect((await engine.stats()).sessionBytes).toBeGreaterThan(0);
    await Promise.all(sessions.map((session) => session.close()));
    expect(() => sessions[0]!.generate('a')).toThrow('the session was closed');
  });

  it('leaves the queue at once when it is aborted', async () => {
    const engine = await load('builtin', { device: 'cpu' });
    const [first, second] = [await engine.session(), await engine.session()];
    const long = first.generate('Once upon a time', { maxTokens: 400, ignoreEos: true, temperature: 0 });
    const abort = new AbortController();
    let ended = false;
    const waiting = second.generate('a', { signal: abort.signal });
    abort.abort();
    void long.result.then(() => (ended = true));
    await expect(waiting.result).rejects.toMatchObject({ code: 'aborted' });
    expect(ended).toBe(false);
    expect((await long.result).generatedTokens).toBe(400);
  });

  it('are refused with figures where they do not fit the budget', async () => {
    const { memory } = await Pronk.plan('builtin', { device: 'cpu', threads: 1, contextSize: 512 });
    const engine = await load('builtin', { device: 'cpu', memoryBudget: memory.total + 2 * memory.kvCache });
    expect(engine.plan.memory).toEqual(memory);
    const session = await engine.session();
    await expect(engine.session()).rejects.toMatchObject({
      code: 'out-of-memory',
      message: expect.stringMatching(/^a session may take [\d.]+ MB: 2 of them, .*more than the [\d.]+ MB/),
    });
    await session.close();
    await (await engine.session()).close();
  });
});

async function noGpu(): Promise<boolean> {
  return Pronk.plan('builtin', { device: 'webgpu' }).then(
    () => false,
    () => true,
  );
}

const models: [string, LoadOptions][] = [
  ['builtin', { device: 'cpu' }],
  ['builtin', { device: 'cpu', kv: 'q8_0' }],
  ['builtin', { device: 'webgpu' }],
  [`${archs}lfm2-F16.gguf`, { device: 'cpu', kv: 'q8_0' }],
  [`${archs}granitehybrid-F16.gguf`, { device: 'cpu' }],
];

describe.skipIf(!hasBox)('a session that was saved', () => {
  it.each(models)('goes on in a new engine as one that never stopped: %s %j', async (model, options) => {
    if (model !== 'builtin' && !existsSync(model)) return console.log(`skipped: no ${model}`);
    if (options.device === 'webgpu' && (await noGpu())) return console.log('skipped: no WebGPU');
    const prompt = Array.from({ length: 60 }, (_, i) => 20 + ((i * 7) % 90));
    const sampling = { seed: 5, maxTokens: 16, ignoreEos: true };
    const tokensOf = async (of: Pick<PronkType, 'generate'>, text: number[]): Promise<[number[], number]> => {
      const tokens: number[] = [];
      const generation = of.generate(text, sampling);
      for await (const { token } of generation) if (token !== null) tokens.push(token);
      return [tokens, (await generation.result).reusedTokens];
    };
    const engine = await load(model, options);
    const session = await engine.session();
    const [begun] = await tokensOf(session, prompt);
    const bytes = await session.save();
    await tokensOf(engine, [1, 2, 3]);
    const text = [...prompt, ...begun, 30];
    const expected = await tokensOf(session, text);
    expect(expected[1]).toBeGreaterThanOrEqual(60);

    const later = options.device === 'webgpu' ? engine : await load(model, options); // which takes long there
    await tokensOf(later, [4, 5, 6]);
    const restored = await later.session({ from: bytes });
    expect(await tokensOf(restored, text)).toEqual(expected);
    expect(await restored.save()).toBeInstanceOf(Uint8Array);
  });

  it('is an error where it is for something else, and what the engine held is still there', async () => {
    const engine = await load('builtin', { device: 'cpu' });
    const session = await engine.session();
    await expect(session.save()).rejects.toMatchObject({ code: 'bad-argument', message: /nothing to save/ });
    const first = await say(session, questions[0]!);
    const bytes = await session.save();
    const fails = async (from: Uint8Array, code: string, message: RegExp) =>
      expect(engine.session({ from })).rejects.toMatchObject({ code, message });
    await fails(bytes.subarray(0, 70), 'bad-argument', /not a saved session/);
    await fails(bytes.subarray(0, bytes.length - 9), 'damaged', /^the saved session is damaged/);
    bytes[bytes.length >> 1]! ^= 4;
    await fails(bytes, 'damaged', /^the saved session is damaged/);
    const q8 = await load('builtin', { device: 'cpu', kv: 'q8_0' });
    const other = await q8.session();
    await say(other, questions[0]!);
    await fails(await other.save(), 'bad-argument', /another type of KV cache/);
    const [text, cached] = await say(session, questions[0]!);
    expect(text).toBe(first[0]);
    expect(cached).toBeGreaterThan(4);
  });
});
