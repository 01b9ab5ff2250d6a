// The built package's CPU path in Node with several threads.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { Notice, Pronk as PronkType } from '../../src/api/node.js';
import { boxGolden, type Golden } from '../support/golden.js';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pronk-threads-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Package = typeof import('../../src/api/node.js');
const packageIn = async (path: string): Promise<Package> =>
  (await import(pathToFileURL(join(path, 'api/node.js')).href)) as Package;
const { Pronk } = await packageIn(dist);

/** The model in the box on the CPU, once all its threads work. */
async function loadBox(threads: number, onNotice: (notice: Notice) => void = () => {}): Promise<PronkType> {
  const engine = await Pronk.load('builtin', { device: 'cpu', threads, onNotice });
  expect(engine.plan.threads).toBe(threads);
  await expect.poll(async () => (await engine.stats()).threads).toBe(threads);
  return engine;
}

async function answersOf(engine: PronkType, cases: Golden[]): Promise<Pick<Golden, 'tokens' | 'text'>[]> {
  const answers = [];
  for (const { prompt_tokens, most } of cases) {
    const tokens: number[] = [];
    let text = '';
    for await (const piece of engine.generate(prompt_tokens, { temperature: 0, maxTokens: most })) {
      if (piece.token !== null) tokens.push(piece.token);
      text += piece.text;
    }
    answers.push({ tokens, text });
  }
  return answers;
}

const expectedOf = (cases: Golden[]) => cases.map(({ tokens, text }) => ({ tokens, text }));

/** Runs a program in a Node of its own, which has to end by itself; gives what it wrote. */
function inNode(program: string): unknown {
  const file = join(folder, 'program.mjs');
  writeFileSync(
    file,
    `import { Pronk } from ${JSON.stringify(pathToFileURL(join(dist, 'api/node.js')).href)};\n${program}`,
  );
  return JSON.parse(execFileSync(process.execPath, [file], { encoding: 'utf8', timeout: 120_000 }));
}

const loadThree = `
  let begun = 0, ended = 0;
  process.on('worker', (worker) => (begun++, worker.on('exit', () => ended++)));
  const engine = await Pronk.load('builtin', { device: 'cpu', threads: 3 });
  while ((await engine.stats()).threads < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  await engine.generate('Once', { maxTokens: 4 }).result;`;

describe('threads in Node', () => {
  it('change no token, however many they are', async (context) => {
    const cases = boxGolden();
    if (!cases) return context.skip();
    for (const threads of [1, 2, 3]) {
      const engine = await loadBox(threads);
      expect(await answersOf(engine, cases)).toEqual(expectedOf(cases));
      expect((await engine.stats()).allocated).toEqual(engine.plan.memory);
      await engine.unload();
    }
  });

  it('stop in mid-answer, and answer again', async (context) => {
    const cases = boxGolden();
    if (!cases) return context.skip();
    const engine = await loadBox(3);
    const abort = new AbortController();
    const aborted = engine.generate('Once', { maxTokens: 2000, ignoreEos: true, signal: abort.signal });
    await expect(
      (async () => {
        for await (const _ of aborted) abort.abort();
      })(),
    ).rejects.toMatchObject({ code: 'aborted' });
    expect(await answersOf(engine, cases.slice(0, 1))).toEqual(expectedOf(cases.slice(0, 1)));
    await engine.unload();
  });

  it('leave no worker when the engine is unloaded', (context) => {
    if (!boxGolden()) return context.skip();
    const seen = inNode(`${loadThree}
      await engine.unload();
      console.log(JSON.stringify({ begun, ended }));`);
    expect(seen).toEqual({ begun: 2, ended: 2 });
  });

  it('keep no program from ending', (context) => {
    if (!boxGolden()) return context.skip();
    expect(inNode(`${loadThree} console.log(JSON.stringify({ begun, ended }));`)).toEqual({ begun: 2, ended: 0 });
  });

  it('are done without where a worker cannot be started', async (context) => {
    const cases = boxGolden();
    if (!cases) return context.skip();
    const broken = join(folder, 'broken');
    cpSync(dist, broken, { recursive: true });
    writeFileSync(join(broken, 'runtime/thread-node.js'), "throw new Error('this worker is broken');\n");
    const other = await packageIn(broken);
    const notices: Notice[] = [];
    const engine = await other.Pronk.load('builtin', {
      device: 'cpu',
      threads: 3,
      onNotice: (notice) => notices.push(notice),
    });
    expect(await answersOf(engine, cases.slice(0, 2))).toEqual(expectedOf(cases.slice(0, 2)));
    await expect.poll(() => notices.length).toBe(2);
    const message = 'the CPU has a thread less: this worker is broken';
    expect(notices).toEqual([1, 2].map(() => ({ kind: 'fewer-threads', message })));
    expect((await engine.stats()).threads).toBe(1);
    await engine.unload();
  });
});
