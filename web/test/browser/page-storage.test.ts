// What the page keeps: conversations in IndexedDB, one a record, open in one tab at a time; settings in localStorage.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { chatPage, chattyModel, inPage, noModel, storeMessages, until } from '../support/chat-page.js';

const chat = chatPage();
const settings = { temperature: 0, maxTokens: 4, device: 'cpu' };

async function ask(page: Page, text: string): Promise<void> {
  const figures = await page.locator('.figures').count();
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.figures').nth(figures).waitFor();
}

const bubbles = (page: Page): Promise<string[]> => page.locator('.bubble').allInnerTexts();

/** The questions in each conversation that is kept, in the order they were begun. */
async function keptQuestions(page: Page): Promise<string[][]> {
  return page.evaluate(async () => {
    const request = indexedDB.open('pronk-page');
    const database = await new Promise<IDBDatabase>((resolve) => {
      request.onsuccess = () => resolve(request.result);
    });
    const all = database.transaction('conversations').objectStore('conversations').getAll();
    await new Promise((resolve) => {
      all.onsuccess = resolve;
    });
    database.close();
    const records = all.result as { messages: { role: string; text: string }[] }[];
    return records.map(({ messages }) => messages.filter(({ role }) => role === 'user').map(({ text }) => text)).sort();
  });
}

describe('conversations', () => {
  it('are kept apart in two tabs, and both are there afterwards', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (first) => {
      await ask(first, 'first tab');
      const second = await first.context().newPage();
      await second.goto(chat.server.origin + chattyModel);
      await second.getByRole('textbox', { name: 'Message' }).waitFor();
      expect(await bubbles(second)).toEqual([]); // the other tab has it
      await ask(second, 'second tab');
      await ask(first, 'first again');
      await ask(second, 'second again');
      for (const [page, said] of [
        [first, ['first tab', 'first again']],
        [second, ['second tab', 'second again']],
      ] as const) {
        await page.reload();
        await page.locator('.bubble').nth(1).waitFor();
        expect(await bubbles(page)).toEqual(said);
      }
      expect(await keptQuestions(first)).toEqual([
        ['first tab', 'first again'],
        ['second tab', 'second again'],
      ]);

      // Each tab sees what the other has, and that it is in use; once it is not, it can be had.
      const button = first.getByRole('button', { name: 'Conversations' });
      const other = first.getByRole('button', { name: /^second tab/ });
      await button.click();
      await first.getByText('open in another tab').waitFor();
      expect(await other.isDisabled()).toBe(true);
      await second.close();
      const isFree = async (): Promise<boolean> => {
        await first.keyboard.press('Escape');
        await button.click();
        return other.isEnabled();
      };
      await until(isFree, 'the other tab’s conversation is free');
      await other.click();
      await until(async () => (await bubbles(first)).includes('second again'), 'it is open here');
      await first.getByRole('button', { name: 'Conversations' }).click();
      await first.getByRole('button', { name: 'Delete “first tab”', exact: true }).click();
      await first.getByRole('button', { name: 'Delete “first tab” for good' }).click();
      await until(async () => (await keptQuestions(first)).length === 1, 'the other is deleted');
    });
  });

  it('are copied where a tab is duplicated', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (first) => {
      await ask(first, 'common');
      const [copy] = await Promise.all([
        first.context().waitForEvent('page'),
        first.evaluate(() => window.open(location.href)), // takes its sessionStorage along, as duplicating does
      ]);
      await copy.locator('.bubble', { hasText: 'common' }).waitFor();
      await ask(copy, 'in the copy');
      await ask(first, 'in the first');
      await until(async () => (await keptQuestions(first)).flat().length === 4, 'both are kept');
      expect(await keptQuestions(first)).toEqual([
        ['common', 'in the copy'],
        ['common', 'in the first'],
      ]);
    });
  });

  it('survive a reload that comes at once, with what was not sent', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await ask(page, 'hello there');
      await page.getByRole('textbox', { name: 'Message' }).fill('half a thou');
      await page.reload();
      await page.locator('.bubble', { hasText: 'hello there' }).waitFor();
      await page.locator('.figures').waitFor();
      expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('half a thou');
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.locator('.bubble').waitFor({ state: 'detached' });
      expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('half a thou');
      await page.reload();
      await page.getByText('What shall we talk about?').waitFor();
      await page.getByRole('button', { name: 'Conversations' }).click();
      await page.getByRole('button', { name: 'hello there', exact: false }).first().click();
      await page.locator('.bubble', { hasText: 'hello there' }).waitFor();
    });
  });

  it('move over from localStorage, where the page kept one before', async (test) => {
    const old = [
      { id: 4, role: 'user', text: 'from before', story: false, figures: null },
      { id: 5, role: 'assistant', text: 'an answer', story: false, figures: {} },
    ];
    const before = `if (!sessionStorage.old) {
      sessionStorage.old = 'put';
      localStorage['pronk.conversation'] = ${JSON.stringify(JSON.stringify(old))};
      localStorage['pronk.draft'] = '"draft"';
    }`;
    const path = chattyModel;
    await chat.visit(
      test,
      { path, settings, before: (context) => context.addInitScript(inPage(before)) },
      async (page) => {
        await page.locator('.bubble', { hasText: 'from before' }).waitFor();
        await page.getByText('an answer').waitFor();
        expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('draft');
        expect(await page.evaluate(() => [localStorage['pronk.conversation'], localStorage['pronk.draft']])).toEqual([
          undefined,
          undefined,
        ]);
        await page.reload();
        await page.locator('.bubble', { hasText: 'from before' }).waitFor();
      },
    );
  });

  it('are not needed: the page works where storage is forbidden', async (test) => {
    const before = `
      Object.defineProperty(window, 'indexedDB', { get() { throw new DOMException('no', 'SecurityError'); } });
      for (const name of ['localStorage', 'sessionStorage']) {
        Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });
      }`;
    const path = `${chattyModel}&device=cpu`;
    await chat.visit(test, { path, before: (context) => context.addInitScript(inPage(before)) }, async (page) => {
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      await page.getByLabel('Longest answer').fill('3');
      await page.keyboard.press('Tab');
      await page.getByRole('button', { name: 'Close settings' }).click();
      await ask(page, 'hello');
    });
  });
});

describe('what is stored wrongly', () => {
  it('is left out, and the rest is shown', async (test) => {
    const figures = { tokensPerSecond: 5, firstTokenMs: 7, tokens: 3, finish: 'stop', left: 0 };
    const messages = [
      { role: 'user', text: 'good' },
      { role: 'assistant', text: 'figures are empty', figures: {} },
      { role: 'assistant', text: 'figures are odd', figures: { ...figures, finish: 'x' } },
      { role: 'assistant', text: 'figures are null', figures: { ...figures, tokens: null } },
      { role: 'robot', text: 'no such role' },
      { role: 'user', text: 7 },
      null,
      'text',
      { role: 'assistant', text: 'good too', story: 'yes', figures },
    ];
    await chat.visit(test, {}, async (page) => {
      await storeMessages(page, messages);
      expect(await bubbles(page)).toEqual(['good']);
      const answers = ['figures are empty', 'figures are odd', 'figures are null', 'good too'];
      expect(await page.locator('.answer .prose').allInnerTexts()).toEqual(answers);
      expect(await page.locator('.figures').allInnerTexts()).toEqual([
        '5.0 tokens/s · first token after 7 ms · 3 tokens',
      ]);
      for (const wrong of [{}, null, 'text', 7]) {
        await storeMessages(page, wrong);
        await page.getByText('A language model, in this tab').waitFor();
      }
    });
  });

  it('is not read where it has another version, nor are settings that cannot be', async (test) => {
    const wrong = { maxTokens: -5, topP: 7, topK: 'many', device: 'fpga', kv: 'f8', temperature: null, seed: 3 };
    await chat.visit(test, { settings: wrong }, async (page) => {
      const shown = async (): Promise<string[]> => {
        await page.getByRole('button', { name: 'Settings', exact: true }).click();
        const labels = ['Longest answer', 'Top-p', 'Top-k', 'Device', 'Seed'];
        return Promise.all(labels.map((label) => page.getByLabel(label).inputValue()));
      };
      expect(await shown()).toEqual(['1024', '0.95', '40', 'auto', '3']);
      const newer = JSON.stringify({ version: 99, maxTokens: 12, seed: 4 });
      await page.evaluate((text) => localStorage.setItem('pronk.settings', text), newer);
      await page.reload();
      expect(await shown()).toEqual(['1024', '0.95', '40', 'auto', '']);
    });
  });

  it('shows a way out where a part of the page breaks all the same', async (test) => {
    const before = `if (localStorage.broken !== 'no') {
      localStorage.broken = 'yes';
      Number.prototype.toLocaleString = () => { throw new Error('broken for the test'); };
    }`;
    const figures = { tokensPerSecond: 5, firstTokenMs: 7, tokens: 3, finish: 'stop', left: 0 };
    const expected = /broken for the test/;
    const put = (context: { addInitScript(script: string): Promise<unknown> }) => context.addInitScript(inPage(before));
    await chat.visit(test, { before: put, expected }, async (page) => {
      await page.evaluate(() => localStorage.setItem('pronk.settings', '{"maxTokens": 5}'));
      await storeMessages(page, [{ role: 'assistant', text: 'hi', figures }]);
      await page.getByRole('heading', { name: 'Something in this page broke' }).waitFor();
      await page.getByText('broken for the test').waitFor();
      await page.getByRole('button', { name: 'Load the page again' }).click();
      await page.getByRole('heading', { name: 'Something in this page broke' }).waitFor();
      await page.getByRole('button', { name: 'Forget conversations and settings' }).click();
      await page.getByText('Pronk Box').first().waitFor(); // as for someone new
      expect(await page.evaluate(() => localStorage['pronk.settings'] as unknown)).toBe(undefined);
    });
  });

  it('shows an address that cannot be decoded as it is', async (test) => {
    const path = `${noModel}${encodeURIComponent('/models/100%25%.gguf')}`;
    await chat.visit(test, { path, expected: /404|400/ }, async (page) => {
      await page
        .getByRole('alert')
        .getByText(/100%25%\.gguf cannot be opened/)
        .waitFor();
      await page.getByRole('button', { name: 'Choose a model file' }).waitFor();
    });
    await chat.visit(test, { path: `${noModel}/models/100%25.gguf`, expected: /404|400/ }, async (page) => {
      await page
        .getByRole('alert')
        .getByText(/cannot be opened/)
        .waitFor();
    });
  });
});
