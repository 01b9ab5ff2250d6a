// The example cards of the page, each clicked as a person does, with the page's own settings: the model in the box must
// be right every time, so it answers greedily.
import { describe, expect, it } from 'vitest';
import { examples } from '../../../demo/src/examples.js';
import { chatPage } from '../support/chat-page.js';
import { boxGolden } from '../support/golden.js';

const chat = chatPage();
const tokyoTime = /^It is (\d\d:\d\d) in Tokyo\.$/;

// By the card's title: whether the answer to it, and to what it asks next, is right.
const right: Record<string, { text(answer: string): boolean; next?(answer: string): boolean }> = {
  'A story': {
    text: (answer) => answer.length > 300 && /\bdog named Max\b/.test(answer) && /[.!?]$/.test(answer),
    next: (answer) => answer === 'The name of the hero is Max.',
  },
  Memory: { text: (answer) => answer.includes('Luna'), next: (answer) => answer === 'Your cat is called Luna.' },
  'A sum': { text: (answer) => answer === '7 + 8 = 15.' },
  JSON: {
    text: (answer) => {
      const list = JSON.parse(answer) as string[];
      return list.length === 4 && new Set(list).size === 4 && list.every((name) => /^[a-z]+$/.test(name));
    },
  },
  'A tool call': {
    text: (answer) => answer === 'It is windy in Paris, with 13 degrees.', // what the tool says of Paris
    next: (answer) => tokyoTime.test(answer),
  },
};

describe('each example card', () => {
  it('is answered rightly by the model in the box, and what it asks next', async (test) => {
    if (!boxGolden()) return test.skip();
    await chat.visit(test, { path: '/?device=cpu' }, async (page) => {
      for (const { title, text, tools, next } of examples) {
        await page.getByRole('button', { name: text }).click();
        // A tool's answer is between two of the model's.
        let answers = tools ? 2 : 1;
        await page
          .locator('.answer .figures')
          .nth(answers - 1)
          .waitFor();
        if (tools)
          expect(await page.locator('.answer .tool').innerText()).toBe('Calls a tool\nget_weather(city: "Paris")');
        expect(right[title]!.text(await page.locator('.answer .prose').last().innerText()), title).toBe(true);
        if (next) {
          await page.getByRole('button', { name: next }).click();
          answers *= 2;
          await page
            .locator('.answer .figures')
            .nth(answers - 1)
            .waitFor();
          const answer = await page.locator('.answer .prose').last().innerText();
          expect(right[title]!.next!(answer), `${title}: ${answer}`).toBe(true);
          const said = await page.locator('.message.tool').last().locator('code').allInnerTexts();
          const time = tokyoTime.exec(answer)?.[1];
          if (time) expect(JSON.parse(said[0]!)).toEqual({ city: 'Tokyo', time });
        }
        for (const line of await page.locator('.figures').allInnerTexts()) expect(line).toMatch(/\d tokens?$/); // ended by itself
        await page.getByRole('button', { name: 'New chat' }).click();
        await page.getByRole('heading', { name: 'What shall we talk about?' }).waitFor();
      }
    });
  });
});
