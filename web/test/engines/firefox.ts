// Firefox, driven by puppeteer-core over WebDriver BiDi; its WebGPU (wgpu) runs on lavapipe.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';
import { type BrowserEngine, patience, type Tab } from './driver.js';
import { endWithParent, missingFile, setpriv, startOrClose, temporaryHome } from './processes.js';

const executablePath = process.env['PRONK_FIREFOX'] ?? '/usr/bin/firefox-esr';
const drivers = '/usr/share/vulkan/icd.d';

// Off by default on Linux.
const preferences = {
  'dom.webgpu.enabled': true,
  'dom.webgpu.workers.enabled': true,
  'gfx.webgpu.ignore-blocklist': true, // lavapipe is on it
};

/** Its name tells the processor's architecture. */
function lavapipe(): string {
  const missing = join(drivers, 'lvp_icd.json');
  try {
    const name = readdirSync(drivers).find((one) => /^lvp_icd\..*json$/.test(one));
    return name ? join(drivers, name) : missing;
  } catch {
    return missing;
  }
}

function start(): Promise<Tab> {
  return startOrClose(async (closers) => {
    const env = { ...temporaryHome(closers), VK_DRIVER_FILES: lavapipe(), VK_ICD_FILENAMES: lavapipe() };
    const browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: setpriv,
      ignoreDefaultArgs: true,
      args: [...endWithParent, executablePath, '--headless', '--no-remote'],
      extraPrefsFirefox: preferences,
      env,
      timeout: 60_000,
      protocolTimeout: 120_000,
    });
    closers.add(() => browser.close());
    const page = await browser.newPage();
    page.setDefaultTimeout(patience);
    return {
      open: async (url) => void (await page.goto(url)),
      evaluate: async (expression) => (await page.evaluate(expression)) as string,
      click: (xpath) => page.locator(`::-p-xpath(${xpath})`).click(),
      type: async (xpath, text) => {
        const field = (await page.waitForSelector(`::-p-xpath(${xpath})`))!;
        await field.type(text);
      },
      close: () => closers.close(),
    };
  });
}

export const firefox: BrowserEngine = {
  name: 'Firefox',
  complete: true,
  threads: true,
  slowGpu: false,
  missing: () => missingFile(setpriv, executablePath, lavapipe()),
  start,
};
