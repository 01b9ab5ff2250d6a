// The server with OpenAI's own client, over the model in the box on the CPU.
import { request as httpRequest } from 'node:http';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pronk as PronkType } from '../../src/api/node.js';
import type { RequestOptions } from '../../src/api/openai/types.js';
import type { ServerOptions, OpenAiServer as ServerType } from '../../src/cli/server.js';
import { boxGolden, encoderPath } from '../support/golden.js';
import {
  user as ask,
  everyField,
  forcedRequest,
  moodRequest,
  storyRequest,
  weatherRequest,
} from '../support/requests.js';

const dist = '../../dist';
const missing = () => {
  throw new Error('web/dist is missing: run npm run build first');
};
const { Pronk } = (await import(`${dist}/api/node.js`).catch(missing)) as typeof import('../../src/api/node.js');
const { OpenAiServer } = (await import(`${dist}/cli/server.js`)) as typeof import('../../src/cli/server.js');

const { Conversations } = (await import(
  `${dist}/cli/conversations.js`
)) as typeof import('../../src/cli/conversations.js');

const hasBox = boxGolden() !== null;
let engine: PronkType;
let base: string;

type ServedEngine = ConstructorParameters<typeof ServerType>[0];
const closers: (() => Promise<void>)[] = [];
async function start(of: ServedEngine, options: Partial<ServerOptions> = {}): Promise<[ServerType, string]> {
  const made = new OpenAiServer(of, { host: '127.0.0.1', port: 0, maxBody: 100_000, ...options });
  closers.push(() => made.stop(0));
  return [made, await made.listen()];
}

beforeAll(async () => {
  if (!hasBox) return;
  engine = await Pronk.load('builtin', { device: 'cpu', threads: 1 });
  [, base] = await start(engine, { apiKey: 'secret' });
});
afterAll(async () => {
  await Promise.all(closers.map((close) => close()));
  await engine?.unload();
});

const clientOf = (origin: string, apiKey = 'secret') => new OpenAI({ baseURL: `${origin}/v1`, apiKey, maxRetries: 0 });
const client = () => clientOf(base);
const model = 'any';

describe.skipIf(!hasBox)('the client of OpenAI', () => {
  it('lists the model and finds it by its name', async () => {
    const { data } = await client().models.list();
    expect(data).toEqual([{ id: 'Pronk Box', object: 'model', created: expect.any(Number), owned_by: 'pronk' }]);
    expect((await client().models.retrieve('Pronk Box')).id).toBe('Pronk Box');
    await expect(client().models.retrieve('other')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('gets an answer, whole and in pieces', async () => {
    const messages = ask('Who are you?');
    const whole = await client().chat.completions.create({ model, messages, temperature: 0 });
    expect(whole).toMatchObject({ object: 'chat.completion', model, usage: { completion_tokens: expect.any(Number) } });
    expect(whole.choices[0]!.message.content).toBe(
      'I am Pronk Box. I am a tiny language model inside your browser tab.',
    );
    const stream = await client().chat.completions.create({
      model,
      messages,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage: unknown;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0]!.message.content);
    expect(usage).toMatchObject({ total_tokens: whole.usage!.total_tokens });
  });

  it('may set every field, by itself and in a stream', async () => {
    const request = { model, ...everyField };
    const { choices } = await client().chat.completions.create(request);
    const said = choices.map(({ message }) => message.content);
    expect(new Set(said).size).toBe(2); // a seed of its own for each
    const streamed = ['', ''];
    for await (const chunk of await client().chat.completions.create({ ...request, stream: true })) {
      for (const { index, delta } of chunk.choices) streamed[index] += delta.content ?? '';
    }
    expect(streamed).toEqual(said); // the same seed, the same text
    for (const { logprobs, message } of choices) {
      const told = logprobs!.content!;
      expect(told.map(({ token }) => token).join('')).toBe(message.content);
      expect(told.every(({ logprob, top_logprobs: top }) => logprob <= 0 && top.length === 2)).toBe(true);
      expect(told.every(({ logprob, top_logprobs: [first] }) => first!.logprob >= logprob - 1e-6)).toBe(true);
    }
  });

  it('is given JSON of a schema, and a call that it asks for by name', async () => {
    const { choices } = await client().chat.completions.create({ model, ...moodRequest });
    expect(['good', 'bad']).toContain((JSON.parse(choices[0]!.message.content!) as { mood: string }).mood);
    const stream = client().chat.completions.stream({ model, ...forcedRequest });
    const made = (await stream.finalChatCompletion()).choices[0]!;
    expect(made).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ function: { name: 'set_mood' } }] },
    });
  });

  it('may bias a token away, or to the exclusion of others', async () => {
    const prompt = 'Once upon a time';
    const request = { model, prompt, max_tokens: 4, temperature: 0, logprobs: 1 };
    const free = (await client().completions.create(request)).choices[0]!;
    expect(free.logprobs!.tokens!.join('')).toBe(free.text);
    const id = (await engine.tokenize(`${prompt}${free.text}`))[(await engine.tokenize(prompt)).length]!;
    const banned = (await client().completions.create({ ...request, logit_bias: { [id]: -100 } })).choices[0]!;
    expect(banned.logprobs!.tokens![0]).not.toBe(free.logprobs!.tokens![0]);
    const forced = (await client().completions.create({ ...request, logit_bias: { [id]: 100 } })).choices[0]!;
    expect(new Set(forced.logprobs!.tokens)).toEqual(new Set([free.logprobs!.tokens![0]]));
  });

  it('has tools called, by the helper of the client too', async () => {
    const request = { model, ...weatherRequest };
    const whole = await client().chat.completions.create(request);
    expect(whole.choices[0]!.finish_reason).toBe('tool_calls');
    const made = await client().chat.completions.stream(request).finalChatCompletion();
    const functionOf = ({ choices }: OpenAI.ChatCompletion) =>
      (choices[0]!.message.tool_calls![0] as OpenAI.Chat.Completions.ChatCompletionMessageFunctionToolCall).function;
    expect(functionOf(made).arguments).toBe(functionOf(whole).arguments);
    expect(functionOf(made)).toMatchObject({ name: 'get_weather', arguments: '{"city": "Paris"}' });
  });

  it('goes on with a text', async () => {
    const request = { model, ...storyRequest };
    const { choices } = await client().completions.create(request);
    let text = '';
    for await (const chunk of await client().completions.create({ ...request, stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe(choices[0]!.text);
    expect(text).not.toBe('');
  });

  it('gets embeddings, which it asks for as base64', async () => {
    const encoder = await Pronk.load(encoderPath, { device: 'cpu', threads: 1 });
    const [, origin] = await start(encoder);
    const { data } = await clientOf(origin).embeddings.create({ model, input: ['a cat', 'a dog'] });
    const plain = await encoder.embeddings.create({ input: 'a dog' });
    expect(data.length).toBe(2);
    plain.data[0]!.embedding.forEach((value, i) => expect(data[1]!.embedding[i]).toBeCloseTo(value, 6));
    await encoder.unload();
    const gone = { status: 503, code: 'unloaded' };
    await expect(clientOf(origin).embeddings.create({ model, input: 'a' })).rejects.toMatchObject(gone);
  });

  it('gets errors with the field and a code', async () => {
    const chat = client().chat.completions;
    const messages = ask('Hi');
    const wrong = { status: 400, type: 'invalid_request_error', param: 'temperature', code: 'bad-argument' };
    await expect(chat.create({ model, messages, temperature: 7 })).rejects.toMatchObject(wrong);
    await expect(chat.create({ model, messages, temperature: 7, stream: true })).rejects.toMatchObject(wrong);
    await expect(chat.create({ model, messages, store: true })).rejects.toMatchObject({ status: 400, param: 'store' });
    const large = ask('x'.repeat(200_000));
    await expect(chat.create({ model, messages: large })).rejects.toMatchObject({ status: 413 });
    const stranger = clientOf(base, 'wrong').chat.completions.create({ model, messages });
    await expect(stranger).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect((await chat.create({ model, messages, temperature: 0 })).choices.length).toBe(1); // it goes on
  });

  it('one of eight at once gets its own answer', async () => {
    const sums = Array.from({ length: 8 }, (_, i) => `What is ${i + 1} + 2?`);
    const one = async (content: string) => {
      const request = { model, messages: ask(content), temperature: 0, max_completion_tokens: 24 };
      return (await client().chat.completions.create(request)).choices[0]!.message.content;
    };
    const alone: (string | null)[] = [];
    for (const sum of sums) alone.push(await one(sum));
    expect(new Set(alone).size).toBe(8);
    expect(await Promise.all(sums.map(one))).toEqual(alone);
  });

  it('finds what was computed of its conversation, whoever asked meanwhile', async () => {
    const of = clientOf((await start(new Conversations(engine, 3)))[1]);
    const begun = ['Who are you?', 'Tell me a story about a dog.', 'What is the weather in Paris?'].map(ask);
    const chats: OpenAI.ChatCompletionMessageParam[][] = [...begun];
    for (const round of [0, 1, 2]) {
      for (const messages of chats) {
        const request = { model, messages, temperature: 0, max_completion_tokens: 24 };
        const { choices, usage } = await of.chat.completions.create(request);
        const unread = usage!.prompt_tokens - usage!.prompt_tokens_details!.cached_tokens!;
        if (round > 0) expect(unread).toBeLessThan(20); // a question, but none of the answers before it
        messages.push(choices[0]!.message, { role: 'user', content: 'And then?' });
      }
    }
  });

  it('that leaves in mid-stream ends its answer, and one that waits its place in the queue', async () => {
    const signals: AbortSignal[] = [];
    const create: typeof engine.completions.create = (request: never, options?: RequestOptions) => {
      signals.push(options!.signal!);
      return engine.completions.create(request, options) as never;
    };
    const { chat, embeddings, plan } = engine;
    const watched = { ...engine, chat, embeddings, plan, completions: { create } } as unknown as PronkType;
    const [own, origin] = await start(watched);
    const request = { model, prompt: 'Once', max_tokens: 900, temperature: 2, stream: true as const };
    const [first, second] = await Promise.all([1, 2].map(() => clientOf(origin).completions.create(request)));
    await first![Symbol.asyncIterator]().next();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    second!.controller.abort();
    await expect.poll(() => signals.filter(({ aborted }) => aborted).length, { interval: 5 }).toBe(1);
    first!.controller.abort();
    await expect.poll(() => signals.every(({ aborted }) => aborted), { interval: 5 }).toBe(true);
    expect(own.active).toBe(0);
    const next = await client().completions.create({ model, prompt: 'Once', max_tokens: 1 });
    expect(next.usage!.completion_tokens).toBe(1);
  });
});

/** A request as no client makes it. */
function raw(origin: string, path: string, headers: Record<string, string>, method = 'GET', body = '') {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
    const asked = httpRequest(`${origin}${path}`, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

describe.skipIf(!hasBox)('the server', () => {
  const key = { authorization: 'Bearer secret' };
  const json = { ...key, 'content-type': 'application/json' };

  it('refuses what it does not know in the form of OpenAI', async () => {
    const cases: [string, string, Record<string, string>, string, number][] = [
      ['GET', '/v1/nothing', key, '', 404],
      ['GET', '/v1/chat/completions', key, '', 405],
      ['POST', '/v1/chat/completions', json, '{', 400],
      ['POST', '/v1/chat/completions', json, '[]', 400],
      ['POST', '/v1/chat/completions', { ...key, 'content-type': 'text/plain' }, '{}', 415],
      ['POST', '/v1/chat/completions', { 'content-type': 'application/json' }, '{}', 401],
      ['GET', '/v1/models', { ...key, host: 'evil.example' }, '', 403],
    ];
    for (const [method, path, headers, body, status] of cases) {
      const answer = await raw(base, path, headers, method, body);
      expect([method, path, answer.status]).toEqual([method, path, status]);
      const { error } = JSON.parse(answer.body) as { error: object };
      expect(error).toMatchObject({ message: expect.stringMatching(/./), type: 'invalid_request_error', param: null });
    }
  });

  it('refuses a body that is too large, also where its length is not told', async () => {
    const chunked = { ...json, 'transfer-encoding': 'chunked' };
    const body = JSON.stringify({ prompt: 'x'.repeat(200_000) });
    for (const headers of [json, chunked]) {
      const answer = await raw(base, '/v1/completions', headers, 'POST', body);
      expect([answer.status, answer.headers['connection']]).toEqual([413, 'close']);
    }
  });

  it('tells its health to all', async () => {
    expect(JSON.parse((await raw(base, '/health', {})).body)).toEqual({ status: 'ok' });
  });

  it('lets no page ask, or those that it was told', async () => {
    expect((await raw(base, '/health', { origin: 'http://a.example' })).headers).not.toHaveProperty(
      'access-control-allow-origin',
    );
    const [, origin] = await start(engine, { cors: 'http://a.example', apiKey: 'secret' });
    const preflight = { origin: 'http://a.example', 'access-control-request-headers': 'authorization,content-type' };
    const { status, headers } = await raw(origin, '/v1/chat/completions', preflight, 'OPTIONS');
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'http://a.example',
      'access-control-allow-headers': 'authorization,content-type',
    });
  });

  it('ends what runs before it stops, and takes nothing new', async () => {
    const [own, origin] = await start(engine);
    const running = clientOf(origin).chat.completions.create({ model, messages: ask('Who are you?'), temperature: 0 });
    await expect.poll(() => own.active, { interval: 1 }).toBe(1);
    const stopped = own.stop(20_000);
    expect((await running).choices[0]!.finish_reason).toBe('stop');
    await stopped;
    await expect(clientOf(origin).models.list()).rejects.toThrow();
  });

  it('cuts what does not end in time', async () => {
    const [own, origin] = await start(engine);
    const request = { model, prompt: 'Once', max_tokens: 900, temperature: 2, stream: true as const };
    const stream = await clientOf(origin).completions.create(request);
    const reading = (async () => {
      for await (const _ of stream);
    })();
    const failed = expect(reading).rejects.toThrow();
    await own.stop(0);
    await failed;
    expect(own.active).toBe(0);
  });
});
