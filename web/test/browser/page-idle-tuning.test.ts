// While nobody waits for anything the page fits the model in the box to the GPU; who sends something goes before.
import type { BrowserContext, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { findings } from '../support/axe.js';
import { chatPage, until } from '../support/chat-page.js';
import { boxGolden } from '../support/golden.js';

const chat = chatPage();
const path = '/?device=webgpu';
const quiet = 'Waits for a quiet moment';
const measures = 'Trying which of its kernels are fastest here';

const openSettings = (page: Page): Promise<void> => page.getByRole('button', { name: 'Settings', exact: true }).click();
const closeSettings = (page: Page): Promise<void> => page.getByRole('button', { name: 'Close settings' }).click();

/** Lines of what has been measured and is kept. */
const kept = (page: Page): Promise<string[]> =>
  page.evaluate(async () => {
    const lines: string[] = [];
    const look = async (folder: FileSystemDirectoryHandle): Promise<void> => {
      for await (const entry of folder.values()) {
        if (entry.kind === 'directory') await look(entry as FileSystemDirectoryHandle);
        else if (/^tuning-/.test(entry.name)) lines.push(...(await (await entry.getFile()).text()).split('\n'));
      }
    };
    await look(await navigator.storage.getDirectory());
    return lines.filter((line) => line.includes(' = '));
  });

describe('the page when nothing happens', () => {
  it('measures the kernels of the model, stops for a message, and goes on', async (test) => {
    if (!boxGolden()) return test.skip();
    const before = (context: BrowserContext): Promise<void> => context.clock.install();
    await chat.visit(test, { path, before }, async (page) => {
      await page.locator('.chip-device', { hasText: 'GPU' }).waitFor();
      expect(await kept(page)).toEqual([]); // the first answer waits for nothing
      await openSettings(page);
      await page.getByText(quiet).waitFor();
      await page.clock.fastForward(10_000);
      await page.getByText(measures).waitFor();
      expect(await findings(page, 'idle tuning')).toEqual([]);
      if (process.env['PRONK_SCREENSHOTS']) {
        await page.getByText(measures).scrollIntoViewIfNeeded();
        await page.screenshot({ path: `${process.env['PRONK_SCREENSHOTS']}/idle.png` });
      }
      await closeSettings(page);
      await page.clock.fastForward(30_000); // half of its time is up
      await page.getByRole('button', { name: 'What is 7 + 8?' }).click();
      await openSettings(page);
      await page.getByText(quiet).waitFor();
      await closeSettings(page);
      await page.locator('.answer .figures').waitFor();
      expect(await page.locator('.answer .prose').innerText()).toBe('7 + 8 = 15.');
      await openSettings(page);
      await page.clock.fastForward(10_000);
      await page.getByText(/^Done: |can be faster: used when/).waitFor();
      const found = await kept(page);
      expect(found.length).toBeGreaterThan(0);
      expect(found[0]).toMatch(/^matvec /);

      await page.reload(); // the next load takes what was found
      await page.locator('.chip-device', { hasText: 'GPU' }).waitFor();
      await page.getByRole('button', { name: 'What is 7 + 8?' }).or(page.locator('.answer')).first().waitFor();
      expect((await kept(page)).length).toBeGreaterThanOrEqual(found.length);
    });
  });

  it('measures nothing where it is not to', async (test) => {
    if (!boxGolden()) return test.skip();
    await chat.visit(test, { path, settings: { tuneWhenIdle: false } }, async (page) => {
      await page.locator('.chip-device', { hasText: 'GPU' }).waitFor();
      await openSettings(page);
      const box = page.getByRole('checkbox', { name: 'Fit models to this GPU while nothing else happens' });
      expect(await box.isChecked()).toBe(false);
      expect(await page.getByText(quiet).count()).toBe(0);
      await box.check();
      await page.getByText(quiet).waitFor();
      await box.uncheck();
      await until(async () => (await page.getByText(quiet).count()) === 0, 'it waits no more');
    });
  });
});
