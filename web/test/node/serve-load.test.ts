// The server under several clients for a while: every answer comes to who asked, memory stays, and a client that is killed
// frees its place.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pronk as PronkType } from '../../src/api/node.js';
import type { OpenAiServer as ServerType } from '../../src/cli/server.js';
import { boxGolden } from '../support/golden.js';

const dist = '../../dist';
const { Pronk } = (await import(`${dist}/api/node.js`).catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
})) as typeof import('../../src/api/node.js');
const { OpenAiServer } = (await import(`${dist}/cli/server.js`)) as typeof import('../../src/cli/server.js');

const { Conversations } = (await import(
  `${dist}/cli/conversations.js`
)) as typeof import('../../src/cli/conversations.js');

const hasBox = boxGolden() !== null;
const clients = 8;
const rounds = Number(process.env['PRONK_LOAD_ROUNDS'] ?? 5); // answers that each client asks for
let engine: PronkType;
let server: ServerType;
let origin: string;

beforeAll(async () => {
  if (!hasBox) return;
  engine = await Pronk.load('builtin', { device: 'cpu', threads: 1, contextSize: 256 });
  server = new OpenAiServer(new Conversations(engine, 4), { host: '127.0.0.1', port: 0, maxBody: 100_000 });
  origin = await server.listen();
});
afterAll(async () => {
  await server?.stop(0);
  await engine?.unload();
});

const client = () => new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 });

/** The answer to a prompt of its own, whole or from a stream, once greedy and once with a seed. */
async function answer(of: OpenAI, who: number, round: number): Promise<string> {
  const sampling = round % 2 === 0 ? { temperature: 0 } : { temperature: 1, seed: who };
  const messages = [{ role: 'user' as const, content: `What is ${who + 1} + ${(round % 4) + 1}?` }];
  const request = { model: 'any', messages, max_completion_tokens: 16, ...sampling };
  if (round % 3 > 0) return (await of.chat.completions.create(request)).choices[0]!.message.content!;
  let text = '';
  for await (const { choices } of await of.chat.completions.create({ ...request, stream: true })) {
    text += choices[0]?.delta.content ?? '';
  }
  return text;
}

// Of JavaScript and its buffers after a collection, and of the WASM module.
async function memory(): Promise<{ javascript: number; module: number }> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { javascript: heapUsed + arrayBuffers, module: (await engine.stats()).heapBytes };
}

describe.skipIf(!hasBox)('the server', () => {
  it(`gives each of ${clients} clients at once its own answers, none lost`, async () => {
    const all = Array.from({ length: clients }, (_, who) => Array.from({ length: rounds }, (_, round) => [who, round]));
    const alone: string[] = [];
    for (const [who, round] of all.flat()) alone.push(await answer(client(), who!, round!));
    expect(new Set(alone).size).toBeGreaterThan(clients);
    const together = all.map(async (turns) => {
      const own = client();
      const texts: string[] = [];
      for (const [who, round] of turns) texts.push(await answer(own, who!, round!));
      return texts;
    });
    expect((await Promise.all(together)).flat()).toEqual(alone);
    expect(server.active).toBe(0);
  });

  it('needs no more memory after 200 requests than after 20', async () => {
    const own = client();
    const ask = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const request = { model: 'any', prompt: `Number ${i % 20}`, max_tokens: 2, temperature: 0 };
        await own.completions.create(request);
      }
    };
    await ask(20);
    const before = await memory();
    await ask(180);
    const after = await memory();
    expect(after.module).toBe(before.module);
    expect(after.javascript - before.javascript).toBeLessThan(3e6); // 16 kB a request
  });

  it('is free for the next when the process of a client is killed in mid-stream', async () => {
    const body = JSON.stringify({ prompt: 'Once', max_tokens: 240, n: 128, stream: true, temperature: 2 });
    const code = `const answer = await fetch('${origin}/v1/completions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: ${JSON.stringify(body)} });
      for await (const part of answer.body) process.stdout.write(part);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect(String((await once(child.stdout, 'data'))[0])).toMatch(/^data: /);
    expect(server.active).toBe(1);
    child.kill('SIGKILL');
    await expect.poll(() => server.active, { interval: 5 }).toBe(0);
    expect(await answer(client(), 1, 0)).toContain('3');
  });
});
