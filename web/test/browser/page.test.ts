// A person's path through the chat page, built as it is served, in real Chromium.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { chatPage, chattyModel, pageRoot } from '../support/chat-page.js';
import { boxGolden } from '../support/golden.js';
import { storiesPath, storyReferences } from '../support/references.js';
import { tinyModel } from '../support/tiny-gguf.js';

const chat = chatPage();
const endless = { temperature: 0, maxTokens: 100_000, contextSize: 65_536 };
const tinyPath = join(chat.folder, 'tiny.gguf');
const endlessPath = join(chat.folder, 'endless.gguf'); // with those settings it answers until it is stopped

beforeAll(() => {
  writeFileSync(tinyPath, tinyModel()[0]!);
  writeFileSync(endlessPath, tinyModel({ endless: true })[0]!);
});

async function pickFile(page: Page, path: string): Promise<void> {
  await page.getByLabel('Model file').setInputFiles(path);
  await page.getByRole('button', { name: 'Load model' }).click();
}

describe('the chat page', () => {
  it('is at most 150 KB of JavaScript, gzipped, without what loads when it is first needed', () => {
    const lazy = /^(xgrammar-bundle|lazy)-/;
    const scripts = readdirSync(join(pageRoot, 'assets')).filter((name) => name.endsWith('.js') && !lazy.test(name));
    expect(scripts.length).toBeGreaterThan(0);
    const size = scripts.reduce(
      (sum, name) => sum + gzipSync(readFileSync(join(pageRoot, 'assets', name)), { level: 9 }).length,
      0,
    );
    const entry = scripts
      .filter((name) => name.startsWith('index-'))
      .map((name) => readFileSync(join(pageRoot, 'assets', name), 'utf8'));
    expect(entry.join().match(/^import.*lazy-/m)).toBeNull(); // no lazy part is there from the start
    console.log(`page JavaScript: ${size} bytes gzipped`);
    expect(size).toBeLessThanOrEqual(150_000);
  });

  it('can be written in while the model in the box loads, and tells how soon each was there', async (test) => {
    if (!boxGolden()) return test.skip();
    await chat.visit(test, { path: '/?device=cpu' }, async (page) => {
      await page.getByRole('textbox', { name: 'Message' }).fill('typed');
      const typeable = await page.evaluate(() => performance.now());
      const mark = async (name: string): Promise<number> => {
        const time = await page.waitForFunction((of) => performance.getEntriesByName(of)[0]?.startTime, name);
        return (await time.jsonValue()) ?? Infinity;
      };
      const loaded = await mark('pronk:bytes-loaded');
      const ready = await mark('pronk:ready');
      const [a, b, c] = [typeable, loaded, ready].map((time) => `${Math.round(time)} ms`);
      console.log(`page: typeable after ${a}, model bytes loaded after ${b}, ready after ${c}`);
      expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('typed');
    });
  });

  it('can be written in although the model in the box does not come', async (test) => {
    if (!boxGolden()) return test.skip();
    let asked = false;
    const hold = (context: BrowserContext) => context.route(/\.gguf$/, () => (asked = true)); // and no answer
    await chat.visit(test, { path: '/?device=cpu', before: hold }, async (page) => {
      await page.getByRole('textbox', { name: 'Message' }).fill('typed');
      await expect.poll(() => asked).toBe(true);
      expect(await page.evaluate(() => performance.getEntriesByName('pronk:ready').length)).toBe(0);
      expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('typed');
    });
  });

  it('opens with the model in the box and chats, also when asked before it is ready', async (test) => {
    const cases = boxGolden();
    if (!cases) return test.skip();
    await chat.visit(test, { path: '/?device=webgpu', settings: { temperature: 0 } }, async (page) => {
      const field = page.getByRole('textbox', { name: 'Message' });
      await field.fill('typed while it loads');
      await page.getByRole('button', { name: 'What is 7 + 8?' }).click(); // asked before it can answer
      expect(await field.inputValue()).toBe('typed while it loads');
      await page.locator('.figures').waitFor();
      expect(await page.locator('.answer .prose').innerText()).toBe('7 + 8 = 15.');

      await page.getByRole('button', { name: /Pronk Box/ }).click();
      await page.getByText('of memory on the GPU').waitFor();
      await page.getByText(/llama · .* million weights · context of .* tokens · made for chat/).waitFor();
      await page.getByRole('button', { name: 'Another model' }).click();
      await page.getByRole('heading', { name: 'Another model' }).waitFor();
      await field.fill('The one that is loaded stays.');
      expect(await page.getByRole('button', { name: 'Send' }).isEnabled()).toBe(true);
    });
  });

  it('says so when the model in the box cannot be had, and suits its settings to it when it can', async (test) => {
    if (!boxGolden()) return test.skip();
    await chat.visit(test, { settings: { device: 'cpu' }, expected: /404/ }, async (page) => {
      const offer = page.getByRole('button', { name: 'Try the small one' });
      await page.route('**/pronk-box*', (route) => route.fulfill({ status: 404 }));
      await offer.click();
      await page.getByRole('alert').getByText('Pronk Box cannot be loaded').waitFor();
      await page.unroute('**/pronk-box*');
      await offer.click();
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      expect(await page.getByLabel('Temperature').inputValue()).toBe('0');
      expect(new URL(page.url()).search).toBe('');
      await page.getByRole('button', { name: 'Close settings' }).click();
      await page.getByRole('button', { name: 'Give me a JSON list' }).click();
      await page.locator('.figures').waitFor();
    });
  });

  it('tells a story from stories260K on WebGPU, word for word, and keeps it over a reload', async (test) => {
    const references = storyReferences();
    if (!references) return test.skip();
    const { text, greedy } = references[0]!;
    const count = 32; // package.test.ts compares all 64
    await chat.visit(
      test,
      { path: '/?model=&device=webgpu', settings: { temperature: 0, maxTokens: count } },
      async (page) => {
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
        await page.reload();
        expect(await page.locator('.story .prose').innerText()).toBe(told);
        await page.getByText('Open a model to go on').waitFor();
      },
    );
  });

  it('stops an answer, lets one type meanwhile, and goes on', async (test) => {
    await chat.visit(test, { settings: { ...endless, device: 'cpu' } }, async (page) => {
      await pickFile(page, endlessPath);
      const field = page.getByRole('textbox', { name: 'Beginning of a story' });
      await field.fill('the cat');
      await field.press('Shift+Enter');
      expect(await field.inputValue()).toBe('the cat\n');
      await field.press('Enter');
      await page.locator('.caret').waitFor();
      await field.pressSequentially('next');
      await page.keyboard.press('Escape');
      expect(await page.locator('.figures').innerText()).toMatch(/stopped$/);
      expect(await field.inputValue()).toBe('next');
      await page.getByRole('button', { name: 'Send' }).waitFor();
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.getByText('Begin a story').waitFor();
      expect(await field.inputValue()).toBe('next');
    });
  });

  it('Esc and the button stop an answer on WebGPU', async (test) => {
    await chat.visit(test, { settings: { ...endless, device: 'webgpu' } }, async (page) => {
      await pickFile(page, endlessPath);
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

  it('opens ?model= and chats by the model’s template, on a phone', async (test) => {
    await chat.visit(
      test,
      { path: chattyModel, width: 390, settings: { temperature: 0, maxTokens: 6, device: 'cpu' } },
      async (page) => {
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
      },
    );
  });

  it('says what does not fit and loads what does; shows what it keeps, and deletes it', async (test) => {
    const settings = { device: 'cpu', contextSize: 200_000, memoryGigabytes: 0.02, maxTokens: 4, temperature: 0 };
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await page
        .getByRole('alert')
        .getByText(/over the budget of 20 MB; 256 tokens would fit/)
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

  it('says so where it runs on the CPU unasked', async (test) => {
    // The engine's worker finds no WebGPU.
    const withoutGpu = (context: BrowserContext): Promise<unknown> =>
      context.route('**/assets/worker-*.js', async (route) => {
        const response = await route.fetch();
        const hidden = "Object.defineProperty(navigator, 'gpu', { value: undefined });";
        await route.fulfill({ response, body: hidden + (await response.text()) });
      });
    await chat.visit(test, { path: chattyModel, before: withoutGpu }, async (page) => {
      await page.getByRole('status').getByText(/CPU/).waitFor();
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      await page.getByRole('button', { name: 'Dismiss the notice' }).click();
      await page.getByRole('status').waitFor({ state: 'detached' });
    });
  });

  it('takes the device from ?device=, until another is chosen', async (test) => {
    await chat.visit(test, { path: `${chattyModel}&device=cpu`, settings: { device: 'webgpu' } }, async (page) => {
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      const device = page.getByLabel('Device');
      expect(await device.inputValue()).toBe('cpu');
      await device.selectOption('auto');
      expect(await device.inputValue()).toBe('auto');
    });
  });

  it('takes a dropped file, changes settings, and says clearly what is wrong', async (test) => {
    await chat.visit(test, { settings: { device: 'cpu' } }, async (page) => {
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
