// npx pronk: the commands as programs of their own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterAll, describe, expect, it } from 'vitest';
import { serveBytes } from '../support/file-server.js';
import { serveFolder } from '../support/folder-server.js';
import { boxGolden } from '../support/golden.js';
import { tinyFolder } from '../support/tiny-folder.js';
import { tinyModel } from '../support/tiny-gguf.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pronk-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

function start(...args: string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [main, ...args], { timeout: 120_000 });
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return child;
}

interface Ended {
  out: string;
  error: string;
  status: number | null;
}

function ended(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let [out, error] = ['', ''];
  child.stdout.on('data', (text: string) => (out += text));
  child.stderr.on('data', (text: string) => (error += text));
  return new Promise((resolve) => child.on('close', (status) => resolve({ out, error, status })));
}

const run = (...args: string[]): Promise<Ended> => ended(start(...args));

describe('arguments', () => {
  it('are explained, or named where they are wrong', async () => {
    const [help, serve, none, option, port] = await Promise.all([
      run('--help'),
      run('serve', '--help'),
      run('sing'),
      run('serve', '--prot', '1'),
      run('serve', '--port', '99999'),
    ]);
    expect(help).toMatchObject({ status: 0, out: expect.stringMatching(/serve.*chat.*pull.*list.*rm/s) });
    expect(serve).toMatchObject({ status: 0, out: expect.stringContaining('--api-key KEY') });
    expect(none).toMatchObject({ status: 2, error: expect.stringContaining("'sing'") });
    expect(option).toMatchObject({ status: 2, error: expect.stringContaining("'--prot'") });
    expect(port).toMatchObject({ status: 2, error: expect.stringContaining('--port') });
  });
});

describe('the cache', () => {
  it('is filled by pull, shown by list and emptied by rm', async () => {
    const server = await serveBytes(tinyModel()[0]!);
    const cache = ['--cache', join(folder, 'cache')];
    try {
      expect(await run('pull', server.url, ...cache)).toMatchObject({
        status: 0,
        out: expect.stringContaining('model one.gguf'),
      });
      const asked = server.requests.length;
      expect(await run('pull', server.url, ...cache)).toMatchObject({ status: 0 });
      expect(server.sent).toBe(tinyModel()[0]!.length); // the second found it there
      expect(server.requests.length).toBeGreaterThanOrEqual(asked);
      expect((await run('list', ...cache)).out).toMatch(/^\d\.\d MB +http:\S+\n$/);
      expect(await run('rm', server.url, ...cache)).toMatchObject({ status: 0 });
      expect(await run('list', ...cache)).toMatchObject({ status: 0, out: '' });
      expect(await run('rm', server.url, ...cache)).toMatchObject({
        status: 1,
        error: expect.stringContaining('not in the cache'),
      });
      expect(readdirSync(join(folder, 'cache'))).toEqual([]);
    } finally {
      await server.close();
    }
    const wrong = await run('pull', 'model.gguf');
    expect(wrong).toMatchObject({ status: 2, error: expect.stringContaining("'model.gguf'") });
  });
});

describe('a folder', () => {
  it('is pulled, used without its server, and removed', async () => {
    const server = await serveFolder(tinyFolder(2));
    const cache = ['--cache', join(folder, 'folders')];
    let pulled: Ended;
    try {
      pulled = await run('pull', server.url, ...cache);
    } finally {
      await server.close();
    }
    expect(pulled).toMatchObject({ status: 0, out: expect.stringMatching(/^main +\d\.\d MB\n$/) });
    expect((await run('list', ...cache)).out.trim().split('\n')).toHaveLength(server.files.size);
    const child = start('chat', '-m', server.url, '--device', 'cpu', '--threads', '1', '--context', '64', ...cache);
    const end = ended(child);
    child.stdin.write('the cat\n/exit\n');
    expect(await end).toMatchObject({ status: 0, error: expect.not.stringContaining('pronk: ') });
    expect(await run('rm', server.url, ...cache)).toMatchObject({ status: 0 });
    expect(await run('list', ...cache)).toMatchObject({ status: 0, out: '' });
  });
});

describe.skipIf(boxGolden() === null)('with the model in the box', () => {
  const box = ['--device', 'cpu', '--threads', '1'];

  it('serve answers, and ends well on SIGTERM', async () => {
    const child = start('serve', '--port', '0', '--api-key', 'k', ...box);
    const end = ended(child);
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('close', () => reject(new Error('it ended')));
    });
    const baseURL = /^Pronk Box at (http:\/\/127\.0\.0\.1:\d+\/v1)\n$/.exec(line)![1]!;
    const client = new OpenAI({ baseURL, apiKey: 'k', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'Who are you?' }];
    const { choices } = await client.chat.completions.create({ model: 'any', messages, temperature: 0 });
    expect(choices[0]!.message.content).toContain('Pronk Box');
    child.kill('SIGTERM');
    expect(await end).toMatchObject({ status: 0, error: '' });
  });

  it('chat answers until /exit', async () => {
    const child = start('chat', '--system', 'Be kind.', ...box);
    const end = ended(child);
    child.stdin.write('Who are you?\n\n/exit\n');
    const { out, status } = await end;
    expect(status).toBe(0);
    expect(out).toMatch(/^> [^>]*\w[^>]*\n> > $/);
  });
});
