// What the page tells of speed and memory: before a model is loaded, of an answer, and measured.
import { describe, expect, it } from 'vitest';
import { findings } from '../support/axe.js';
import { chatPage, chattyModel, noModel, until } from '../support/chat-page.js';

const chat = chatPage();
const settings = { temperature: 0, maxTokens: 24, device: 'cpu' };

describe('the preflight', () => {
  it('redraws the memory as the context moves, and loads what it shows', async (test) => {
    await chat.visit(test, { path: noModel, settings }, async (page) => {
      await page.getByLabel('Address of a model').fill('/models/chatty.gguf');
      await page.getByRole('button', { name: 'Open address' }).click();
      const slider = page.getByRole('slider', { name: 'Context' });
      await slider.waitFor();
      const cache = page.locator('.legend dd').nth(1);
      const before = await cache.innerText();
      await slider.focus();
      await page.keyboard.press('Home');
      expect(await cache.innerText()).not.toBe(before); // at once
      await page.getByText('64 tokens', { exact: true }).waitFor();
      await page.getByText(/context of 64 tokens/).waitFor(); // the engine's own plan
      await page.getByText('Its speed is not known before').waitFor();
      await page.getByText('What is this memory for?').click();
      await page.getByText('what the model has learned', { exact: false }).waitFor();
      expect(await findings(page, 'preflight')).toEqual([]);
      await page.getByRole('button', { name: 'Load model' }).click();
      await page.getByText(/^0 of 64 tokens/).waitFor();
    });
  });

  it('says how fast a model will be once one has answered here', async (test) => {
    await chat.visit(test, { path: chattyModel, settings }, async (page) => {
      const field = page.getByRole('textbox', { name: 'Message' });
      await field.fill('hello');
      await field.press('Enter');
      await page.locator('.answer .figures').waitFor();
      await page.getByText('Time line').click();
      await page.getByRole('img', { name: /^The prompt \(\d+ tokens\) took .*; then a token took .* ms/ }).waitFor();
      expect(await page.locator('.time-token').count()).toBeGreaterThan(1);
      await page.locator('.chip').click();
      await page.getByText(/A token is the work of .*; .* are allocated\./).waitFor();
      await page.getByRole('button', { name: 'Another model' }).click();
      await page.getByLabel('Address of a model').fill('/models/chatty.gguf');
      await page.getByRole('button', { name: 'Open address' }).click();
      await page.getByText(/Expect about .* tokens\/s, judging by .* on this device\./).waitFor();
    });
  });
});

describe('/bench', () => {
  it('measures the loaded model by depth, as a table and a plot', async (test) => {
    await chat.visit(test, { path: '/?model=/models/chatty.gguf', settings }, async (page) => {
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
      await page.locator('.chip').click();
      await page.getByRole('button', { name: 'Measure its speed' }).click();
      await page.getByRole('button', { name: 'Measure' }).click();
      const rows = page.locator('.bench-table tbody tr');
      await until(async () => (await rows.count()) >= 2, 'two depths are measured');
      await page.getByRole('button', { name: 'Measure' }).waitFor();
      for (const row of await rows.allInnerTexts()) expect(row).toMatch(/^[\d,]+\s+(–|[\d.,]+)\s+[\d.,]+$/);
      await page.locator('.plot canvas').waitFor();
      expect(await findings(page, 'bench')).toEqual([]);
      await page.getByRole('button', { name: 'Back to the conversation' }).click();
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
    });
  });

  it('fits the model to the GPU, which can be stopped', async (test) => {
    const gpu = { ...settings, device: 'webgpu' };
    await chat.visit(test, { path: '/bench/?model=/models/chatty.gguf', settings: gpu }, async (page) => {
      await page.getByRole('button', { name: 'Try them' }).click();
      await page.getByText('Trying …').waitFor();
      expect(await page.getByRole('button', { name: 'Measure' }).isDisabled()).toBe(true);
      expect(await findings(page, 'bench with a GPU')).toEqual([]);
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('button', { name: 'Try them' }).waitFor();
      expect(await page.getByText('could not be measured').count()).toBe(0);
    });
  });

  it('has an address of its own', async (test) => {
    await chat.visit(test, { path: '/bench/', settings }, async (page) => {
      await page.getByRole('heading', { name: 'Speed' }).waitFor();
      expect(new URL(page.url()).hash).toBe('#bench');
    });
  });
});
