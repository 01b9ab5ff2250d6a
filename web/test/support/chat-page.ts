// The chat page, built as it is served, in real Chromium: what its tests share.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, type TestContext } from 'vitest';
import { launchChromium, type PageServer, servePage } from './chromium.js';
import { chatMl, tinyModel } from './tiny-gguf.js';

export const pageRoot = fileURLToPath(new URL('../../../demo/dist', import.meta.url));
const patience = 120_000; // SwiftShader takes its time with kernels

/** With this path the page asks for a model. */
export const noModel = '/?model=';
/** With this path it opens a tiny model that has a chat template; its answers mean nothing. */
export const chattyModel = '/?model=/models/chatty.gguf';

export interface Visit {
  path?: string;
  settings?: Record<string, unknown>;
  width?: number;
  serviceWorker?: boolean; // whether it may come between the page and the server; default: no
  expected?: RegExp; // lines of the console that are no fault of the page
  before?: (context: BrowserContext) => Promise<unknown>;
}

export interface ChatPage {
  readonly server: PageServer;
  readonly folder: string;
  /** A fresh person on the page; errors that the page itself does not expect fail the test. */
  visit(test: TestContext, visit: Visit, use: (page: Page) => Promise<void>): Promise<void>;
}

/** Starts a browser and a server around the tests of a file. `template`: of the model at `chattyModel`. */
export function chatPage(template: string = chatMl): ChatPage {
  const folder = mkdtempSync(join(tmpdir(), 'pronk-chat-'));
  let browser: Browser | null = null;
  let server: PageServer;

  beforeAll(async () => {
    if (!existsSync(join(pageRoot, 'index.html'))) {
      throw new Error('demo/dist is missing: run npm run build in demo first');
    }
    writeFileSync(join(folder, 'chatty.gguf'), tinyModel({ chatTemplate: template, name: null })[0]!);
    browser = await launchChromium();
    server = await servePage(pageRoot, join(folder, 'chatty.gguf'));
  });

  afterAll(async () => {
    server?.close();
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  return {
    folder,
    get server() {
      return server;
    },
    async visit(test, { path = noModel, settings, width = 1280, serviceWorker, expected, before }, use) {
      if (!browser) return test.skip();
      const serviceWorkers = serviceWorker ? 'allow' : 'block';
      const context = await browser.newContext({ viewport: { width, height: 800 }, serviceWorkers });
      const wrong: string[] = [];
      context.on('weberror', (error) => wrong.push(error.error().message));
      context.on('console', (message) => {
        if (message.type() === 'error' && !expected?.test(message.text())) wrong.push(message.text());
      });
      context.setDefaultTimeout(patience);
      try {
        if (settings) {
          const text = JSON.stringify(JSON.stringify(settings));
          await context.addInitScript(inPage(`localStorage['pronk.settings'] ??= ${text};`));
        }
        await before?.(context);
        const page = await context.newPage();
        await page.goto(server.origin + path);
        await use(page);
        expect(wrong).toEqual([]);
      } finally {
        await context.close();
      }
    },
  };
}

/** A script that runs before those of the page, and not in the empty document before it. */
export function inPage(script: string): string {
  return `if (location.protocol === 'http:') { ${script} }`;
}

/** Waits until a condition holds. */
export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + patience;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`still not so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Puts messages (or anything) into this tab's conversation as it is kept, and loads the page again. */
export async function storeMessages(page: Page, messages: unknown): Promise<void> {
  await page.locator('main').waitFor();
  await page.evaluate(async (value) => {
    const request = indexedDB.open('pronk-page');
    const database = await new Promise<IDBDatabase>((resolve) => {
      request.onsuccess = () => resolve(request.result);
    });
    const id = sessionStorage.getItem('pronk.conversation-id');
    const writing = database.transaction('conversations', 'readwrite');
    writing.objectStore('conversations').put({ version: 1, id, updated: 1, draft: '', messages: value });
    await new Promise((resolve) => {
      writing.oncomplete = resolve;
    });
    database.close();
  }, messages);
  await page.reload();
  await page.locator('main').waitFor();
}
