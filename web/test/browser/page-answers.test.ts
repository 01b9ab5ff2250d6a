// Answers as people read them: code, formulas, tables, thoughts, calls and probabilities.
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { findings } from '../support/axe.js';
import { chatPage, storeMessages, until } from '../support/chat-page.js';
import { boxGolden } from '../support/golden.js';

const chat = chatPage();
const settings = { temperature: 0, maxTokens: 4, device: 'cpu' };

async function show(page: Page, text: string, part: object = {}): Promise<void> {
  await storeMessages(page, [
    { id: 1, parent: null, role: 'user', text: 'Go' },
    { id: 2, parent: 1, role: 'assistant', text, ...part },
  ]);
  await page.locator('.answer .foot').waitFor();
}

const fence = '```';

describe('code', () => {
  it('is coloured and can be copied; the colours load with the first block', async (test) => {
    const grant = (context: { grantPermissions(names: string[]): Promise<unknown> }) =>
      context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await chat.visit(test, { before: grant }, async (page) => {
      const asked: string[] = [];
      page.on('request', (request) => asked.push(request.url()));
      await show(page, 'No code here.');
      expect(asked.filter((url) => url.includes('/lazy-'))).toEqual([]);
      await show(page, `${fence}js\nconst a = "<b>"; // one\n${fence}\n\n${fence}\nplain\n${fence}\n`);
      const block = page.locator('.code-block').first();
      await block.locator('.hljs-keyword', { hasText: 'const' }).waitFor();
      expect(await block.locator('.hljs-string').innerText()).toBe('"<b>"');
      expect(await page.locator('.code-block').nth(1).locator('span.hljs-keyword').count()).toBe(0);
      await block.getByRole('button', { name: 'Copy code' }).click();
      expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('const a = "<b>"; // one');
      expect(await findings(page, 'code')).toEqual([]);
    });
  });
});

describe('formulas', () => {
  it('are drawn, in a line and by themselves, and money is none', async (test) => {
    const text = [
      'So $a^2 + b^2 = c^2$ and \\(x_1\\) cost $5 or $10.',
      '$$\n\\int_0^1 \\frac{x}{2}\\,dx\n$$',
      '\\[ \\begin{matrix} 1 & 2 \\\\ 3 & 4 \\end{matrix} \\]',
      '`$not$` and $\\frac{1}$ stay.',
    ].join('\n\n');
    await chat.visit(test, {}, async (page) => {
      await show(page, text);
      await until(async () => (await page.locator('.prose math').count()) === 4, 'four formulas are drawn');
      expect(await page.locator('.prose math[display="block"]').count()).toBe(2);
      expect(await page.locator('.prose mtd').count()).toBe(4);
      expect(await page.locator('.prose p').first().innerText()).toContain('cost $5 or $10.');
      expect(await page.locator('.prose code').allInnerTexts()).toEqual(['$not$', '$\\frac{1}$']);
      expect(await findings(page, 'formulas')).toEqual([]);
    });
  });
});

describe('an answer', () => {
  it('shows thoughts folded, calls, their results, and how likely each token was', async (test) => {
    const token = (text: string, share: number) => ({
      token: text,
      bytes: null,
      logprob: Math.log(share),
      top_logprobs: [{ token: ' else', bytes: null, logprob: Math.log(0.25) }],
    });
    const call = { id: 'c', type: 'function', function: { name: 'get_time', arguments: '{"city":"Rome"}' } };
    const part = {
      reasoning: 'Let me see.',
      calls: [call, { ...call, function: { name: 'odd', arguments: '{"half' } }],
      probabilities: [token('It', 0.7), token(' is', 0.0001)],
    };
    await chat.visit(test, {}, async (page) => {
      await show(page, 'It is', part);
      expect(await page.getByText('Let me see.').isVisible()).toBe(false);
      await page.getByText('Thoughts').click();
      await page.getByText('Let me see.').waitFor();
      expect(await page.locator('.answer .tool code').allInnerTexts()).toEqual([
        'get_time(city: "Rome")',
        'odd({"half)',
      ]);
      await page.getByText('Token probabilities').click();
      await page.getByRole('button', { name: 'It: 70.0 %' }).waitFor();
      await page.getByRole('button', { name: '␣is: under 0.1 %' }).click();
      expect(await page.locator('.alternatives tbody tr').allInnerTexts()).toEqual([
        '␣else\t25.0 %',
        '␣is\tunder 0.1 %',
      ]);
      expect(await findings(page, 'parts')).toEqual([]);
    });
  });

  it('is JSON by a schema where that is asked for, and tells its probabilities', async (test) => {
    if (!boxGolden()) return test.skip();
    const schema = {
      type: 'object',
      properties: { n: { type: 'boolean' } },
      required: ['n'],
      additionalProperties: false,
    };
    await chat.visit(test, { path: '/?device=cpu', settings: { ...settings, maxTokens: 40 } }, async (page) => {
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      await page.getByRole('button', { name: 'Settings', exact: true }).click();
      await page.getByLabel('Answers are').selectOption('schema');
      await page.getByLabel('JSON schema').fill('{');
      await page.getByText(/cannot be read/).waitFor();
      await page.getByLabel('JSON schema').fill(JSON.stringify(schema));
      await page.getByText('Every answer will be valid').waitFor();
      await page.getByLabel('Show how likely each token was').check();
      await page.getByRole('button', { name: 'Close settings' }).click();
      await page.getByRole('textbox', { name: 'Message' }).fill('Is it?');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.locator('.figures').waitFor();
      const said = JSON.parse(await page.locator('.answer .prose').innerText()) as { n: unknown };
      expect(typeof said.n).toBe('boolean');
      await page.getByText('Token probabilities').click();
      expect(await page.locator('.token').count()).toBeGreaterThan(2);
      await page.reload();
      await page.getByText('Token probabilities').waitFor(); // kept with the answer
    });
  });
});
