// A person's path through the chat page, built as it is served, in real Chromium.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, type PageServer, servePage } from '../support/chromium.js';
import { boxGolden } from '../support/golden.js';
import { storiesPath, storyReferences } from '../support/references.js';
import { chatMl, tinyModel } from '../support/tiny-gguf.js';

const root = fileURLToPath(new URL('../../../demo/dist', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pronk-chat-'));
const tinyPath = join(folder, 'tiny.gguf');
const chatPath = join(folder, 'chatty.gguf');
const patience = 120_000; // SwiftShader takes its time with kernels
let browser: Browser | null = null;
let server: PageServer;

beforeAll(async () => {
  if (!existsSync(join(root, 'index.html'))) throw new Error('demo/dist is missing: run npm run build in demo first');
  writeFileSync(tinyPath, tinyModel()[0]!);
  writeFileSync(chatPath, tinyModel({ chatTemplate: chatMl, name: null })[0]!);
  browser = await launchChromium();
  server = await servePage(root, chatPath);
});

afterAll(async () => {
  server?.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Visit {
  path?: string; // default: with no model, the page asks for one
  settings?: Record<string, unknown>;
  width?: number;
  expected?: RegExp; // lines of the console that are no fault of the page
}

/** A fresh person on the page; errors that the page itself does not expect fail the test. */
async function visit(
  { path = '/?model=', settings, width = 1280, expected }: Visit,
  use: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser!.newContext({ viewport: { width, height: 800 } });
  const wrong: string[] = [];
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !expected?.test(message.text())) wrong.push(message.text());
    });
    if (settings) {
      const script = `localStorage.getItem('pronk.settings') ?? localStorage.setItem('pronk.settings', '${JSON.stringify(settings)}')`;
      await page.addInitScript(script);
    }
    await page.goto(server.origin + path);
    await use(page);
    expect(wrong).toEqual([]);
  } finally {
    await context.close();
  }
}

async function pickFile(page: Page, path: string): Promise<void> {
  await page.getByLabel('Model file').setInputFiles(path);
  await page.getByRole('button', { name: 'Load model' }).click();
}

describe('the chat page', () => {
  it('is at most 150 KB of JavaScript, gzipped', () => {
    const scripts = readdirSync(join(root, 'assets')).filter((name) => name.endsWith('.js'));
    expect(scripts.length).toBeGreaterThan(0);
    const size = scripts.reduce(
      (sum, name) => sum + gzipSync(readFileSync(join(root, 'assets', name)), { level: 9 }).length,
      0,
    );
    console.log(`page JavaScript: ${size} bytes gzipped`);
    expect(size).toBeLessThanOrEqual(150_000);
  });

  it('is ready to type within 3 s, with all bytes of the model in the box', async (context) => {
    if (!browser || !boxGolden()) return context.skip();
    // Other work on the machine can only make it slower: one of three visits has to do.
    let fastest = Infinity;
    for (let i = 0; i < 3 && fastest > 3000; i++) {
      await visit({ path: '/' }, async (page) => {
        await page.getByRole('textbox', { name: 'Message' }).fill('typed');
        const typeable = await page.evaluate(() => performance.now());
        const mark = async (name: string): Promise<number> => {
          const time = await page.waitForFunction((of) => performance.getEntriesByName(of)[0]?.startTime, name);
          return (await time.jsonValue()) ?? Infinity;
        };
        const loaded = await mark('pronk:bytes-loaded');
        const ready = await mark('pronk:ready');
        const [a, b, c] = [typeable, loaded, ready - loaded].map((time) => `${Math.round(time)} ms`);
        console.log(`page: typeable after ${a}, model bytes loaded after ${b}; pipelines took ${c} more`);
        fastest = Math.min(fastest, Math.max(typeable, loaded));
      });
    }
    expect(fastest).toBeLessThanOrEqual(3000);
  });

  it('opens with the model in the box and chats, also when asked before it is ready', async (context) => {
    const cases = boxGolden();
    if (!browser || !cases) return context.skip();
    await visit({ path: '/', settings: { temperature: 0 } }, async (page) => {
      const field = page.getByRole('textbox', { name: 'Message' });
      await field.fill('typed while it loads');
      await page.getByRole('button', { name: 'What is the weather in Paris?' }).click(); // asked before it can answer
      expect(await field.inputValue()).toBe('typed while it loads');
      await page.getByText('The tool answers').waitFor();
      await page.locator('.figures').nth(1).waitFor(); // the answer to what the tool said
      expect(await page.locator('.answer .tool').first().innerText()).toMatch(/Calls a tool\n\w+\(city: "P.*"\)/);
      await page.getByRole('button', { name: 'What time is it in Tokyo?' }).waitFor();

      await page.getByRole('button', { name: /Pronk Box/ }).click();
      await page.getByText('of memory on the GPU').waitFor();
      await page.getByText(/llama · .* million weights · context of .* tokens · made for chat/).waitFor();
      await page.getByRole('button', { name: 'Another model' }).click();
      await page.getByText('Open a model to go on').waitFor();
    });
  });

  it('says so when the model in the box cannot be had, and suits its settings to it when it can', async (context) => {
    if (!browser || !boxGolden()) return context.skip();
    await visit({ settings: { device: 'cpu' }, expected: /404/ }, async (page) => {
      const offer = page.getByRole('button', { name: 'Try the small one' });
      await page.route('**/pronk-box*', (route) => route.fulfill({ status: 404 }));
      await offer.click();
      await page.getByRole('alert').getByText('Pronk Box cannot be loaded').waitFor();
      await page.unroute('**/pronk-box*');
      await offer.click();
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      expect(await page.getByLabel('Temperature').inputValue()).toBe('0.4');
      expect(new URL(page.url()).search).toBe('');
      await page.getByRole('button', { name: 'Close settings' }).click();
      await page.getByRole('button', { name: 'Give me a JSON list' }).click();
      await page.locator('.figures').waitFor();
    });
  });

  it('tells a story from stories260K on WebGPU, word for word, and keeps it over a reload', async (context) => {
    const references = storyReferences();
    if (!browser || !references) return context.skip();
    const { text, greedy } = references[0]!;
    const count = 32; // package.test.ts compares all 64
    await visit({ settings: { temperature: 0, maxTokens: count } }, async (page) => {
      await page.getByLabel('Model file').setInputFiles(storiesPath);
      await page.getByText('of memory on the GPU').waitFor();
      await page.getByRole('heading', { name: 'stories260K', exact: true }).waitFor(); // its own name says only "llama"
      await page.getByText('continues text').waitFor();
      await page.getByRole('button', { name: 'Load model' }).click();
      await page.getByText('it has no chat template').waitFor();
      const field = page.getByRole('textbox', { name: 'Beginning of a story' });
      await field.fill(text);
      await field.press('Enter');
      await page.getByText(/\d tokens\/s · first token after .* · 32 tokens/).waitFor();
      const told = await page.locator('.story .prose').innerText();
      expect(told.length).toBeGreaterThan(text.length + count);
      expect(greedy.text.trimStart().startsWith(told)).toBe(true);
      await page.waitForTimeout(500);
      await page.reload();
      expect(await page.locator('.story .prose').innerText()).toBe(told);
      await page.getByText('Open a model to go on').waitFor();
    });
  });

  it('stops an answer, lets one type meanwhile, and goes on', async (context) => {
    if (!browser) return context.skip();
    await visit({ settings: { temperature: 0, maxTokens: 100_000, device: 'cpu' } }, async (page) => {
      await pickFile(page, tinyPath);
      const field = page.getByRole('textbox', { name: 'Beginning of a story' });
      await field.fill('the cat');
      await field.press('Shift+Enter');
      expect(await field.inputValue()).toBe('the cat\n');
      await field.press('Enter');
      await page
        .getByRole('button', { name: /Stop|Write it again/ })
        .first()
        .waitFor();
      await field.pressSequentially('next');
      await page.keyboard.press('Escape');
      await page.locator('.figures').waitFor();
      expect(await field.inputValue()).toBe('next');
      await page.getByRole('button', { name: 'Send' }).waitFor();
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.getByText('Begin a story').waitFor();
      expect(await field.inputValue()).toBe('next');
    });
  });

  it('Esc and the button stop an answer on WebGPU', async (context) => {
    if (!browser) return context.skip();
    await visit({ settings: { temperature: 0, maxTokens: 100_000 } }, async (page) => {
      await pickFile(page, tinyPath);
      const field = page.getByRole('textbox', { name: 'Beginning of a story' });
      for (const stop of [
        () => page.keyboard.press('Escape'),
        () => page.getByRole('button', { name: 'Stop' }).click(),
      ]) {
        await field.fill('a');
        await field.press('Enter');
        await page.locator('.caret').waitFor();
        await stop();
        await page.locator('.caret').waitFor({ state: 'detached' });
      }
      expect(await page.locator('.figures').last().innerText()).toMatch(/stopped$/);
    });
  });

  it('opens ?model= and chats by the model’s template, on a phone', async (context) => {
    if (!browser) return context.skip();
    const path = '/?model=/models/chatty.gguf';
    await visit({ path, width: 390, settings: { temperature: 0, maxTokens: 6, device: 'cpu' } }, async (page) => {
      const field = page.getByRole('textbox', { name: 'Message' });
      await field.fill('hello there');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.locator('.figures').waitFor();
      await page.locator('.bubble', { hasText: 'hello there' }).waitFor();
      expect(await page.locator('.chip-name').innerText()).toBe('chatty'); // the file's name where it has none of its own
      await page.getByRole('button', { name: 'Write it again' }).click();
      await page.locator('.figures').waitFor();
      expect(await page.locator('.message').count()).toBe(2);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
      await page.reload();
      await page.locator('.bubble', { hasText: 'hello there' }).waitFor();
      await page.getByRole('textbox', { name: 'Message' }).waitFor(); // loaded again by its address
    });
  });

  it('says what does not fit and loads what does; shows what it keeps, and deletes it', async (context) => {
    if (!browser) return context.skip();
    const settings = { device: 'cpu', contextSize: 200_000, memoryGigabytes: 0.02, maxTokens: 4, temperature: 0 };
    await visit({ path: '/?model=/models/chatty.gguf', settings }, async (page) => {
      await page
        .getByRole('alert')
        .getByText(/over the budget of 19 MiB; 256 tokens would fit/)
        .waitFor();
      expect(await page.getByRole('button', { name: 'Load model' }).count()).toBe(0);
      await page.getByRole('button', { name: 'Load with 256 tokens' }).click();
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      const kept = page.getByRole('region', { name: 'Kept models' });
      await kept.getByText('chatty.gguf').waitFor();
      await kept.getByLabel('Keep always').check();
      await kept.getByRole('button', { name: 'Delete chatty.gguf' }).click();
      await kept.getByText('nothing yet').waitFor();
    });
  });

  it('shows Markdown, and nothing in it that would run or send', async (context) => {
    if (!browser) return context.skip();
    const text = [
      '<think>hm</think>',
      '# Title\n\n**bold** and `code` and [link](https://example.org/)\n\n- one\n- two\n',
      '![spy](https://example.org/spy.png) <img src=x onerror="window.hit=1">',
      '<script>window.hit=2</script><a href="javascript:window.hit=3">js</a>',
    ].join('\n');
    const conversation = [
      { id: 1, role: 'user', text: '<b>not markup</b>', story: false, figures: null },
      { id: 2, role: 'assistant', text, story: false, figures: null },
    ];
    await visit({}, async (page) => {
      const requests: string[] = [];
      page.on('request', (request) => requests.push(new URL(request.url()).origin));
      await page.evaluate((value) => localStorage.setItem('pronk.conversation', JSON.stringify(value)), conversation);
      await page.reload();
      expect(await page.locator('.bubble').innerText()).toBe('<b>not markup</b>');
      const prose = page.locator('.prose');
      expect(await prose.locator('h1').innerText()).toBe('Title');
      expect(await prose.locator('strong').innerText()).toBe('bold');
      expect(await prose.locator('li').count()).toBe(2);
      expect(await prose.locator('a[href^="https:"]').getAttribute('rel')).toContain('noopener');
      expect(await prose.locator('img, script, a[href^="javascript"]').count()).toBe(0);
      expect(await page.locator('.thinking').innerText()).toContain('Thoughts');
      expect(await page.evaluate('window.hit')).toBeUndefined();
      expect(new Set(requests)).toEqual(new Set([server.origin]));
    });
  });

  it('takes a dropped file, changes settings, and says clearly what is wrong', async (context) => {
    if (!browser) return context.skip();
    await visit({ settings: { device: 'cpu' } }, async (page) => {
      await page.getByLabel('Model file').setInputFiles({
        name: 'bad.gguf',
        mimeType: 'application/octet-stream',
        buffer: Buffer.from('not a model at all, but long enough to look at'),
      });
      await page.getByRole('alert').getByText('bad.gguf cannot be opened').waitFor();
      await page.getByRole('alert').getByText(/magic/).waitFor();
      await page.getByRole('button', { name: 'Dismiss' }).click();

      const transfer = await page.evaluateHandle(
        (bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(bytes)], 'dropped.gguf'));
          return data;
        },
        Array.from(readFileSync(tinyPath)),
      );
      await page.dispatchEvent('.page', 'dragenter', { dataTransfer: transfer });
      await page.getByText('Drop the model here').waitFor();
      await page.dispatchEvent('.page', 'drop', { dataTransfer: transfer });
      await page.getByText('Tiny test model').waitFor();
      await page.getByRole('button', { name: 'Load model' }).click();
      await page.getByRole('textbox', { name: 'Beginning of a story' }).waitFor();

      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      await page.getByLabel('Context length').fill('64');
      await page.getByLabel('Longest answer').fill('5');
      await page.getByLabel('Seed').fill('7');
      await page.keyboard.press('Tab');
      await page.getByText('Advanced').click();
      await page.getByLabel('KV cache type').selectOption('q8_0');
      await page.getByRole('button', { name: 'Load the model again' }).click();
      const field = page.getByRole('textbox', { name: 'Beginning of a story' });
      await field.waitFor();
      await field.fill('once');
      await field.press('Enter');
      await page.getByText('5 tokens').waitFor();
    });
  });
});
