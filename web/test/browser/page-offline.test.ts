// After one visit the page needs no network: it opens, isolated as before, and the model in the box answers.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findings } from '../support/axe.js';
import { chatPage, inPage, pageRoot, until } from '../support/chat-page.js';
import { boxGolden } from '../support/golden.js';

const chat = chatPage();
const path = '/?device=cpu';

describe('the page without a network', () => {
  it('opens after one visit, has its threads, and answers with the model in the box', async (test) => {
    if (!boxGolden()) return test.skip();
    await chat.visit(test, { path, serviceWorker: true, expected: /ERR_INTERNET_DISCONNECTED/ }, async (page) => {
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
      await page.context().setOffline(true);
      await page.reload();
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      expect(await page.evaluate('crossOriginIsolated')).toBe(true);
      await page.getByRole('button', { name: 'What is 7 + 8?' }).click();
      await page.locator('.answer .figures').waitFor();
      expect(await page.locator('.answer .prose').innerText()).toBe('7 + 8 = 15.');
      await page.goto(new URL('bench/', page.url()).href);
      await page.waitForURL(/#bench$/);
      await page.goto(new URL(path, page.url()).href);
      await page.context().setOffline(false);
      await page.reload();
      await page.locator('.bubble', { hasText: 'What is 7 + 8?' }).waitFor();
    });
  });

  it('keeps all that every visit loads, and nothing that is not there', () => {
    const text = readFileSync(join(pageRoot, 'sw.js'), 'utf8');
    const files = JSON.parse(/const files = (\[.*?\]);/.exec(text)![1]!) as string[];
    const assets = readdirSync(join(pageRoot, 'assets')).map((name) => `assets/${name}`);
    const rare = /^assets\/(lazy|xgrammar-bundle|pronk-folder)-/;
    expect(files.filter((name) => name.startsWith('assets/'))).toEqual(
      assets.filter((name) => !rare.test(name)).sort(),
    );
    for (const name of files.slice(1)) expect(readFileSync(join(pageRoot, name)).length).toBeGreaterThan(0);
    expect(text).toMatch(/const version = '[0-9a-f]{16}'/);
  });

  it('can be installed: what its manifest names is there', () => {
    const read = (name: string): Buffer => readFileSync(join(pageRoot, name));
    const manifest = JSON.parse(read('manifest.webmanifest').toString()) as {
      icons: { src: string; sizes: string; type: string }[];
    };
    for (const { src, sizes, type } of manifest.icons.filter((icon) => icon.type === 'image/png')) {
      const png = read(src);
      expect(type).toBe('image/png');
      expect(`${png.readUInt32BE(16)}x${png.readUInt32BE(20)}`).toBe(sizes);
    }
    expect(read('index.html').toString()).toContain('rel="manifest"');
  });
});

describe('storage', () => {
  it('is shown, and the browser’s answer to keeping it', async (test) => {
    for (const answer of [false, true]) {
      const before = `
        let kept = false;
        navigator.storage.persisted = async () => kept;
        navigator.storage.persist = async () => (kept = ${answer});`;
      await chat.visit(test, { before: (context) => context.addInitScript(inPage(before)) }, async (page) => {
        await page.getByRole('button', { name: 'Settings', exact: true }).click();
        const storage = page.getByRole('region', { name: 'Storage' });
        await storage.getByText(/ in use by models, conversations and this page, of /).waitFor();
        await storage.getByText('The browser may delete it when space is short.').waitFor();
        await storage.getByRole('button', { name: 'Ask the browser to keep it' }).click();
        await storage.getByText(answer ? 'The browser keeps it until you' : 'The browser did not agree').waitFor();
        await until(
          async () => (await storage.getByRole('button').count()) === (answer ? 0 : 1),
          'it may be asked again',
        );
        expect(await findings(page, 'storage')).toEqual([]);
      });
    }
  });
});
