// Where the package runs in Chromium: a worker of the caller's, the page's own thread, shared and service workers, and when
// it comes from another origin. All as plain ES modules.
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Api from '../../src/api/index.js';
import { launchChromium, type PageServer, servePage } from '../support/chromium.js';
import { boxGolden } from '../support/golden.js';

declare const Pronk: typeof Api.Pronk; // in the page
declare const inThread: Api.EnginePlace;

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pronk-places-'));
const whoIs = 'I am Pronk Box. I am a tiny language model inside your browser tab.';
let browser: Browser | null = null;
let pages: PageServer;
let open: Server[] = []; // two origins without a content policy, readable from everywhere

// What a shared or a service worker does: answers a message with what the model says.
const answering = `import { Pronk } from './dist/api/index.js';
import { inThread } from './dist/api/in-thread.js';
import './dist/api/builtin-model.js';
export async function answer({ content, format }) {
  try {
    const engine = await Pronk.load('builtin', { device: 'cpu', worker: inThread });
    const messages = [{ role: 'user', content }];
    const { choices } = await engine.chat.completions.create({ messages, temperature: 0, response_format: format });
    await engine.unload();
    return choices[0].message.content;
  } catch (error) {
    return String(error);
  }
}
`;
const files: Record<string, string> = {
  'index.html': '<!doctype html><script type="module" src="main.js"></script>',
  'main.js': `import { Pronk } from './dist/api/index.js';
import { inThread } from './dist/api/in-thread.js';
import './dist/api/builtin-model.js';
Object.assign(window, { Pronk, inThread });`,
  'own-worker.js': `import './dist/worker/worker.js';
addEventListener('message', ({ data }) => { if (data === 'ping') postMessage({ type: 'pong' }); });`,
  'answering.js': answering,
  'shared.js': `import { answer } from './answering.js';
onconnect = ({ ports: [port] }) => { port.onmessage = async ({ data }) => port.postMessage(await answer(data)); };`,
  'service.js': `import './dist/api/constraints.js';
import { answer } from './answering.js';
onmessage = (event) => event.waitUntil(answer(event.data).then((text) => event.source.postMessage(text)));`,
};

beforeAll(async () => {
  if (!existsSync(join(dist, 'pronk.wasm'))) throw new Error('web/dist is missing: run npm run build first');
  browser = boxGolden() && (await launchChromium());
  cpSync(dist, join(folder, 'dist'), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  pages = await servePage(folder);
  open = await Promise.all([serveOpen(), serveOpen()]);
});

afterAll(async () => {
  pages?.close();
  for (const server of open) server.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The same files, as a CDN has them. */
async function serveOpen(): Promise<Server> {
  const server = createServer((request, response) => {
    void fetch(`${pages.origin}${request.url}`).then(async (answer) => {
      response.setHeader('content-type', answer.headers.get('content-type')!);
      response.setHeader('access-control-allow-origin', '*');
      response.setHeader('cross-origin-resource-policy', 'cross-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function inPage<T>(use: (page: Page) => Promise<T>, url = pages.origin): Promise<T> {
  const context = await browser!.newContext();
  try {
    const page = await context.newPage();
    await page.goto(url);
    await page.waitForFunction(() => 'Pronk' in window);
    return await use(page);
  } finally {
    await context.close();
  }
}

type Where = 'function' | 'worker' | 'thread' | 'wasmUrl' | 'default';

/** What the model says, and in how many threads; where: as in the page below. */
function ask(page: Page, where: Where): Promise<[string, number]> {
  return page.evaluate(async (where) => {
    const make = () => new Worker('own-worker.js', { type: 'module' });
    const places: Record<typeof where, Api.LoadOptions> = {
      function: { worker: make },
      worker: { worker: make() },
      thread: { worker: inThread },
      wasmUrl: { wasmUrl: 'modules/' },
      default: {},
    };
    const engine = await Pronk.load('builtin', { device: 'cpu', threads: 2, ...places[where] });
    const messages = [{ role: 'user' as const, content: 'Who are you?' }];
    const { choices } = await engine.chat.completions.create({ messages, temperature: 0 });
    const { threads } = engine.plan;
    await engine.unload();
    return [choices[0]!.message.content!, threads] as [string, number];
  }, where);
}

describe('the package runs', () => {
  // A page may not wait: in its own thread the engine has no other.
  it.each([
    ['function', 2],
    ['worker', 2],
    ['thread', 1],
  ] as const)('where the caller says: %s', async (where, threads) => {
    if (!browser) return;
    expect(await inPage((page) => ask(page, where))).toEqual([whoIs, threads]);
  });

  it('in a worker that has other things to do, and in the next that is made once it was killed', async () => {
    if (!browser) return;
    const made = await inPage((page) =>
      page.evaluate(async () => {
        const workers: Worker[] = [];
        const pongs: unknown[] = [];
        const worker = (): Worker => {
          const one = new Worker('own-worker.js', { type: 'module' });
          one.addEventListener('message', ({ data }) => data.type === 'pong' && pongs.push(data));
          workers.push(one);
          return one;
        };
        const engine = await Pronk.load('builtin', { device: 'cpu', worker, onNotice: () => {} });
        workers[0]!.postMessage('ping');
        const running = engine.generate('a', { maxTokens: 400, ignoreEos: true }).result.catch((error) => error.code);
        workers[0]!.terminate();
        const first = await running;
        const { generatedTokens } = await engine.generate('a', { maxTokens: 3, ignoreEos: true }).result;
        workers[1]!.postMessage('ping');
        while (pongs.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
        await engine.unload();
        return { first, generatedTokens, workers: workers.length };
      }),
    );
    expect(made).toEqual({ first: 'worker-crashed', generatedTokens: 3, workers: 2 });
  });

  it('in a shared worker and in a service worker', async () => {
    if (!browser) return;
    const said = await inPage((page) =>
      page.evaluate(async () => {
        const { port } = new SharedWorker('shared.js', { type: 'module' });
        const shared = await new Promise((resolve) => {
          port.onmessage = ({ data }) => resolve(data);
          port.postMessage({ content: 'Who are you?' });
        });
        const registration = await navigator.serviceWorker.register('service.js', { type: 'module' });
        await navigator.serviceWorker.ready;
        navigator.serviceWorker.startMessages();
        const service = (request: object) =>
          new Promise((resolve) => {
            navigator.serviceWorker.onmessage = ({ data }) => resolve(data);
            registration.active!.postMessage(request);
          });
        const free = await service({ content: 'Who are you?' });
        const format = { type: 'grammar', grammar: 'root ::= ("yes" | "no") "!"' };
        return [shared, free, await service({ content: 'Are you there?', format })];
      }),
    );
    expect(said).toEqual([whoIs, whoIs, expect.stringMatching(/^(yes|no)!$/)]);
  });

  it('from another origin', async () => {
    if (!browser) return;
    const [page, origin] = open.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    writeFileSync(join(folder, 'far.html'), '<!doctype html><script type="module" src="far.js"></script>');
    writeFileSync(join(folder, 'far.js'), files['main.js']!.replaceAll("'./dist/", `'${origin}/dist/`));
    expect(await inPage((page) => ask(page, 'default'), `${page}/far.html`)).toEqual([whoIs, 2]);
  });

  it('with its modules in another folder', async () => {
    if (!browser) return;
    mkdirSync(join(folder, 'modules'));
    const names = ['pronk.wasm', 'pronk-threads.wasm', 'pronk-relaxed.wasm'];
    for (const name of names) renameSync(join(folder, 'dist', name), join(folder, 'modules', name));
    expect(await inPage((page) => ask(page, 'wasmUrl'))).toEqual([whoIs, 2]);
    const missing = inPage((page) => ask(page, 'default'));
    await expect(missing).rejects.toThrow('pronk-relaxed.wasm cannot be loaded');
    for (const name of names) renameSync(join(folder, 'modules', name), join(folder, 'dist', name));
  });
});
