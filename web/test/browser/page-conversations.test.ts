// Conversations: branches, titles, search, their own settings, and the way to a file and back.
import { readFileSync } from 'node:fs';
import type { BrowserContext, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { findings } from '../support/axe.js';
import { chatPage, chattyModel, inPage, until } from '../support/chat-page.js';

const chat = chatPage();
const settings = { temperature: 0, maxTokens: 4, device: 'cpu' };

async function ask(page: Page, text: string): Promise<void> {
  const answers = await page.locator('.answer .figures').count();
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.answer .figures').nth(answers).waitFor();
}

const bubbles = (page: Page): Promise<string[]> => page.locator('.bubble').allInnerTexts();
const answers = (page: Page): Promise<number> => page.locator('.answer .figures').count();

/** Of the prompt of the last answer: its tokens, and those that were read before. */
async function read(page: Page): Promise<{ prompt: number; before: number }> {
  const text = await page.locator('.time-line').last().locator('svg').getAttribute('aria-label');
  const [, prompt, before = '0'] = /^The prompt \((\d+) tokens(?:, (\d+) of them read before)?\) took/.exec(text!)!;
  return { prompt: Number(prompt), before: Number(before) };
}
const open = async (page: Page, name: RegExp): Promise<void> => {
  await page.getByRole('button', { name: 'Conversations' }).click();
  await page.getByRole('button', { name }).click();
};

describe('branches', () => {
  it('keep what was said before an edit, and each answer, over a reload', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await ask(page, 'first');
      await ask(page, 'second');

      await page.getByRole('button', { name: 'Write it again' }).click();
      await page.getByText('2/2').waitFor();
      await until(async () => (await answers(page)) === 2, 'the other answer is there');
      expect(await bubbles(page)).toEqual(['first', 'second']);
      await page.getByRole('button', { name: 'Previous answer' }).click();
      await page.getByText('1/2').waitFor();

      await page.getByRole('button', { name: 'Edit message' }).first().click();
      const field = page.getByRole('textbox', { name: 'Edited message' });
      expect(await field.inputValue()).toBe('first');
      await field.press('Escape');
      await field.waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Edit message' }).first().click();
      await field.fill('another first');
      expect(await findings(page, 'editing')).toEqual([]);
      await field.press('Enter');
      await until(async () => (await answers(page)) === 1, 'the edited message is answered');
      expect(await bubbles(page)).toEqual(['another first']);

      await page.reload();
      await page.locator('.bubble', { hasText: 'another first' }).waitFor();
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
      await page.getByRole('button', { name: 'Previous message' }).click();
      expect(await bubbles(page)).toEqual(['first', 'second']);
      expect(await answers(page)).toBe(2);
      await page.getByRole('button', { name: 'Next message' }).click();
      expect(await bubbles(page)).toEqual(['another first']);
    });
  });
});

describe('what is computed of conversations', () => {
  const question = (i: number): string => `question ${i} of a few words`;

  const memory = async (page: Page): Promise<string> => {
    await page.locator('.chip').click();
    const text = await page.getByText(/are allocated/).innerText();
    await page.keyboard.press('Escape');
    return text;
  };
  const kept = /are allocated, and [\d.]+ [KM]B more for the other conversations\./;

  it('is there when one comes back to them, for the last four, and goes with them', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      for (let i = 1; i <= 5; i++) {
        if (i > 1) await page.getByRole('button', { name: 'New chat' }).click();
        await page.getByText('What shall we talk about?').waitFor();
        await ask(page, question(i));
      }
      const first = await read(page);
      await open(page, /^question 4/);
      await page.locator('.bubble', { hasText: question(4) }).waitFor();
      await ask(page, 'and then');
      const again = await read(page);
      expect(again.prompt).toBeGreaterThan(first.prompt + 4);
      expect(again.before).toBeGreaterThanOrEqual(first.prompt - 1);
      await open(page, /^question 1/); // the fifth took its place
      await page.locator('.bubble', { hasText: question(1) }).waitFor();
      await ask(page, 'and then');
      expect((await read(page)).before).toBeLessThan(first.prompt - 4);
      expect(await memory(page)).toMatch(kept);
      for (const i of [2, 3, 4, 5]) {
        await page.getByRole('button', { name: 'Conversations' }).click();
        await page.getByRole('button', { name: new RegExp(`^Delete “question ${i}`) }).click();
        await page.getByRole('button', { name: new RegExp(`^Delete “question ${i} .* for good`) }).click();
        await page.keyboard.press('Escape');
      }
      await until(async () => !kept.test(await memory(page)), 'nothing is kept of those that are deleted');
    });
  });
});

describe('a new conversation', () => {
  // A browser may take its time to give the lock of a conversation.
  const slowLocks = inPage(`
    const request = LockManager.prototype.request;
    LockManager.prototype.request = async function (...given) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return request.apply(this, given);
    };`);

  it('is there at once: what is typed and sent right after the click is said in it', async (test) => {
    const before = (context: BrowserContext): Promise<unknown> => context.addInitScript(slowLocks);
    await chat.visit(test, { path: chattyModel, settings, before }, async (page) => {
      await ask(page, 'first');
      await page.getByRole('textbox', { name: 'Message' }).fill('a draft');
      await page.getByRole('button', { name: 'New chat' }).click();
      await ask(page, 'second');
      expect(await bubbles(page)).toEqual(['second']);
      await open(page, /^first/);
      await page.getByRole('textbox', { name: 'Message' }).fill('third');
      await page.locator('.bubble', { hasText: 'first' }).waitFor();
      await open(page, /^second/);
      await page.locator('.bubble', { hasText: 'second' }).waitFor();
      expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('third');
    });
  });
});

describe('what no longer fits of a conversation', () => {
  it('is left out of its next prompt too, whichever was open meanwhile', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      const long = (i: number): string => `message ${i} ${'of many words '.repeat(3)}`.slice(0, 40);
      const figures = page.locator('.answer .figures');
      for (let i = 1; i <= 4; i++) await ask(page, long(i));
      expect(await figures.last().innerText()).toMatch(/were left out/);
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.getByText('What shall we talk about?').waitFor();
      await ask(page, 'another');
      await open(page, /^message 1/);
      await page.locator('.bubble', { hasText: long(4) }).waitFor();
      await ask(page, long(5));
      const { prompt, before } = await read(page);
      expect(before).toBeGreaterThan(prompt / 2);
    });
  });
});

describe('the settings', () => {
  it('are gone as soon as they are closed: what is typed then is for the message', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      const button = page.getByRole('button', { name: 'Close settings' });
      const still = await button.evaluate((element: HTMLElement) => {
        element.click();
        return element.closest('dialog')!.open;
      });
      expect(still).toBe(false);
    });
  });
});

describe('a conversation', () => {
  it('has its own settings, which others do not get unasked', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      const open = (): Promise<void> => page.getByRole('button', { name: 'Settings', exact: true }).click();
      const close = (): Promise<void> => page.getByRole('button', { name: 'Close settings' }).click();
      const longest = page.getByLabel('Longest answer');
      await ask(page, 'mine');
      await open();
      await longest.fill('2');
      await page.getByLabel('System prompt').fill('Be brief.');
      await close();
      await ask(page, 'again');
      expect(await page.locator('.answer .figures').last().innerText()).toMatch(/ 2 tokens/);
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.getByText('What shall we talk about?').waitFor();
      await open();
      expect(await longest.inputValue()).toBe('4');
      expect(await page.getByLabel('System prompt').inputValue()).toBe('');
      await close();
      await page.reload();
      await page.getByRole('button', { name: 'Conversations' }).click();
      await page.getByRole('button', { name: /^mine/ }).click();
      await page.locator('.bubble', { hasText: 'again' }).waitFor();
      await open();
      expect(await longest.inputValue()).toBe('2');
      await page.getByRole('button', { name: 'Use for new conversations too' }).click();
      await close();
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.locator('.bubble').first().waitFor({ state: 'detached' });
      await open();
      expect(await page.getByLabel('System prompt').inputValue()).toBe('Be brief.');
    });
  });

  it('shows how much of its context is in use', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      const meter = page.getByRole('meter', { name: 'Context in use' });
      await page.getByText(/^0 of [\d,]+ tokens · /).waitFor();
      await ask(page, 'hello');
      const first = Number(await meter.getAttribute('value'));
      expect(first).toBeGreaterThan(4);
      await ask(page, 'hello again');
      expect(Number(await meter.getAttribute('value'))).toBeGreaterThan(first);
    });
  });

  it('can be named, found by what was said, saved to a file and read again', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await ask(page, 'about apples');
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.locator('.bubble').waitFor({ state: 'detached' });
      await ask(page, 'about pears');
      const panel = page.getByRole('region', { name: 'Kept conversations' });
      await page.getByRole('button', { name: 'Conversations' }).click();
      await panel.getByLabel('Title of this conversation').fill('Fruit');
      await panel.getByLabel('Title of this conversation').blur();
      const titles = panel.locator('.past-title');
      await until(async () => (await titles.allInnerTexts()).join() === 'Fruit,about apples', 'it has its title');
      const search = panel.getByRole('searchbox', { name: 'Search conversations' });
      await search.fill('APPLES about');
      expect(await titles.allInnerTexts()).toEqual(['about apples']);
      await search.fill('pears'); // said, and not in the title
      expect(await titles.allInnerTexts()).toEqual(['Fruit']);
      await search.fill('no such word');
      await panel.getByText('No conversation matches.').waitFor();
      expect(await findings(page, 'searching')).toEqual([]);
      await search.fill('');

      const [download] = await Promise.all([
        page.waitForEvent('download'),
        panel.getByRole('button', { name: 'Export all' }).click(),
      ]);
      expect(download.suggestedFilename()).toMatch(/^pronk-conversations-[\d-]+\.json$/);
      const buffer = readFileSync(await download.path());
      await panel.getByRole('button', { name: 'Delete “about apples”', exact: true }).click();
      await panel.getByRole('button', { name: 'Delete “about apples” for good' }).click();
      await until(async () => (await titles.count()) === 1, 'it is deleted');

      const file = panel.getByLabel('File with conversations');
      const give = (content: Buffer | string): Promise<void> =>
        file.setInputFiles({ name: 'c.json', mimeType: 'application/json', buffer: Buffer.from(content) });
      await give('{');
      await panel.getByText('The file is not JSON.').waitFor();
      await give('{"format": "other"}');
      await panel.getByText('The file has no conversations of this page.').waitFor();
      await give('{"format": "pronk-conversations", "version": 1, "conversations": [{"id": 7}, null]}');
      await panel.getByText('No conversation in the file can be read.').waitFor();
      await give(buffer);
      await panel.getByText('2 conversations were added.').waitFor();
      expect((await titles.allInnerTexts()).sort()).toEqual(['Fruit', 'Fruit', 'about apples']);
      await panel.getByRole('button', { name: /^about apples/ }).click();
      await page.locator('.bubble', { hasText: 'about apples' }).waitFor();
      expect(await answers(page)).toBe(1);
    });
  });
});
