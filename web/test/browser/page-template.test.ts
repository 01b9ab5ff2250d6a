// Chat templates that are broken: programs that come with a model file, and may be anything.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { chatPage, chattyModel } from '../support/chat-page.js';

const settings = { temperature: 0, maxTokens: 4, device: 'cpu' };

async function send(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

/** In the page, half a second after the reading begins: a driver may be late for a template that has two. */
async function typeWhileItReads(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).waitFor();
  await page.evaluate((typed) => {
    const shown = (label: string) => document.querySelector<HTMLTextAreaElement>(`[aria-label="${label}"]`);
    const whileReading = new MutationObserver(() => {
      if (!shown('Reading') || !shown('Stop')) return;
      whileReading.disconnect();
      setTimeout(() => {
        if (!shown('Reading')) return;
        const field = shown('Message')!;
        field.value = typed;
        field.dispatchEvent(new InputEvent('input', { bubbles: true }));
      }, 500);
    });
    whileReading.observe(document.body, { subtree: true, childList: true });
  }, text);
}

const bubbles = (page: Page): Promise<string[]> => page.locator('.bubble').allInnerTexts();

describe('a chat template that does not parse', () => {
  const chat = chatPage('{% for m in messages %}{{ m.content');

  it('is named, and the message stays, to try again or to answer without it', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await send(page, 'hello');
      const refusal = page.getByRole('alert').getByText(/^The model’s chat template cannot be read: .+\.$/);
      await refusal.waitFor();
      expect(await bubbles(page)).toEqual(['hello']);
      await page.getByRole('button', { name: 'Dismiss' }).click();
      await page.getByRole('button', { name: 'Try again' }).click();
      await refusal.waitFor();
      await page.getByRole('button', { name: 'Answer without the template' }).click();
      await page.locator('.figures').waitFor();
      expect(await page.getByRole('alert').count()).toBe(0);
      await send(page, 'and now?'); // without it from here on
      await page.locator('.figures').nth(1).waitFor();
      expect(await bubbles(page)).toEqual(['hello', 'and now?']);

      // A message that a reload found unanswered can be tried again too.
      await page.reload();
      await send(page, 'third');
      await refusal.waitFor();
      await page.reload();
      await page.getByText('Not answered yet').waitFor();
      await page.getByRole('button', { name: 'Try again' }).click();
      await refusal.waitFor();
    });
  });
});

describe('a chat template that refuses', () => {
  const chat = chatPage("{{ raise_exception('only odd days') }}");

  it('says why in its own words', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await send(page, 'hello');
      await page.getByRole('alert').getByText('The model’s chat template fails: only odd days.').waitFor();
      await page.getByRole('button', { name: 'Answer without the template' }).waitFor();
    });
  });
});

describe('a chat template that never ends', () => {
  const chat = chatPage(
    `{% if messages[0].content != 'quick' %}{% for a in range(3000000) %}{% for b in range(3000000) %}{% endfor %}{% endfor %}{% endif %}`,
  );

  it('is stopped, and the page goes on meanwhile', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      await typeWhileItReads(page, 'typed meanwhile');
      await send(page, 'slow');
      const refusal = page.getByRole('alert').getByText('was stopped: it ran for more than 2 s.');
      await refusal.waitFor();
      expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('typed meanwhile');
      await page.getByRole('button', { name: 'New chat' }).click();
      await send(page, 'quick'); // in a new worker
      await page.locator('.figures').waitFor();
    });
  });
});
