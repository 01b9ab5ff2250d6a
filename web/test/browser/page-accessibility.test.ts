// axe-core finds nothing in any state of the page, light and dark, wide and narrow.
import type { BrowserContext } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { findings } from '../support/axe.js';
import { chatPage, chattyModel, inPage, noModel, storeMessages } from '../support/chat-page.js';

const chat = chatPage();
const settings = { temperature: 0, maxTokens: 4, device: 'cpu' };

const figures = { tokensPerSecond: 5, firstTokenMs: 7, tokens: 3, finish: 'length', left: 2 };
const conversation = [
  { role: 'user', text: 'Show me code, a table and a list.' },
  {
    role: 'assistant',
    text: [
      '<think>They want much.</think># Here it is\n\nSome `code` and [a link](https://example.org/):\n',
      '```js\nconst a = "a line that is long enough to scroll sideways on any screen that is not very wide indeed, and then some more";\n```\n',
      '|a|b|\n|-|-|\n|1|2|\n\n- one\n- two\n\n> quoted\n\n![a picture](https://example.org/p.png)',
    ].join('\n'),
    figures,
  },
  { role: 'user', text: 'What is the weather in Paris?', tools: true },
  {
    role: 'assistant',
    text: '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>',
    figures,
  },
  { role: 'tool', text: '{"city": "Paris", "weather": "sunny"}' },
  { role: 'assistant', text: 'It is sunny in Paris.', figures },
];

describe('axe finds nothing', () => {
  it('where a model is chosen: empty, planned, with an error', async (test) => {
    for (const width of [1280, 390]) {
      await chat.visit(test, { path: noModel, width, settings, expected: /404/ }, async (page) => {
        await page.getByRole('button', { name: 'Choose a model file' }).waitFor();
        expect(await findings(page, 'empty')).toEqual([]);
        await page.getByLabel('Address of a model').fill('/models/none.gguf');
        await page.getByRole('button', { name: 'Open address' }).click();
        await page.getByRole('alert').waitFor();
        expect(await findings(page, 'error')).toEqual([]);
        await page.getByLabel('Address of a model').fill('/models/chatty.gguf');
        await page.getByRole('button', { name: 'Open address' }).click();
        await page.getByRole('button', { name: 'Load model' }).waitFor();
        expect(await findings(page, 'planned')).toEqual([]);
      });
    }
  });

  it('in a conversation: with code, with an error, its panels and the settings open', async (test) => {
    for (const width of [1280, 390]) {
      await chat.visit(test, { path: chattyModel, width, settings }, async (page) => {
        await page.getByRole('textbox', { name: 'Message' }).waitFor();
        expect(await findings(page, 'welcome')).toEqual([]);
        await storeMessages(page, conversation);
        await page.getByRole('textbox', { name: 'Message' }).waitFor();
        await page.getByRole('button', { name: 'Write it again' }).waitFor();
        await page.getByText('Thoughts').click();
        expect(await findings(page, 'conversation')).toEqual([]);
        await page.getByRole('button', { name: 'New chat' }).click();
        await page.getByText('What shall we talk about?').waitFor();
        await page.getByRole('button', { name: 'Conversations' }).click();
        await page.getByRole('heading', { name: 'Conversations' }).waitFor();
        expect(await findings(page, 'conversations')).toEqual([]);
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: /chatty/ }).click();
        await page.getByText('of memory on the CPU').waitFor();
        expect(await findings(page, 'model panel')).toEqual([]);
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Settings', exact: true }).click();
        await page.getByRole('region', { name: 'Kept models' }).waitFor();
        await page.getByText('Advanced').click();
        expect(await findings(page, 'settings')).toEqual([]);
      });
    }
  });

  it('with the model in the box and its examples, and in a story', async (test) => {
    await chat.visit(test, { path: '/?device=cpu' }, async (page) => {
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
      expect(await findings(page, 'examples')).toEqual([]);
      await storeMessages(page, [
        { role: 'user', text: 'Once' },
        { role: 'assistant', text: ' upon a time', story: true, figures },
        { role: 'user', text: 'unanswered' },
      ]);
      await page.getByRole('button', { name: 'Try again' }).waitFor();
      expect(await findings(page, 'story')).toEqual([]);
    });
  });

  it('where a part of the page broke', async (test) => {
    const before = "Number.prototype.toLocaleString = () => { throw new Error('broken for the test'); }";
    const put = (context: BrowserContext): Promise<unknown> => context.addInitScript(inPage(before));
    await chat.visit(test, { before: put, expected: /broken for the test/ }, async (page) => {
      await storeMessages(page, [{ role: 'assistant', text: 'hi', figures }]);
      await page.getByRole('heading', { name: 'Something in this page broke' }).waitFor();
      expect(await findings(page, 'broken')).toEqual([]);
    });
  });
});
