// Chromium, driven by playwright-core.
import { launchChromium, missingChromium } from '../support/chromium.js';
import type { BrowserEngine, Tab } from './driver.js';

async function start(): Promise<Tab> {
  const browser = (await launchChromium())!;
  const page = await browser.newPage();
  return {
    open: async (url) => void (await page.goto(url)),
    evaluate: (expression) => page.evaluate<string>(expression),
    click: (xpath) => page.locator(`xpath=${xpath}`).click(),
    type: (xpath, text) => page.locator(`xpath=${xpath}`).pressSequentially(text),
    close: () => browser.close(),
  };
}

export const chromium: BrowserEngine = {
  name: 'Chromium',
  complete: true,
  threads: true,
  slowGpu: true,
  missing: missingChromium,
  start,
};
