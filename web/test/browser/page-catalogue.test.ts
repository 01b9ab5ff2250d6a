// The models that the page offers, repositories of Hugging Face, and what is kept.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import type { BrowserContext, Page, Route } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { findings } from '../support/axe.js';
import { chatPage, noModel, pageRoot } from '../support/chat-page.js';
import { tinyFolder } from '../support/tiny-folder.js';
import { chatMl, tinyModel } from '../support/tiny-gguf.js';

const chat = chatPage();
const settings = { temperature: 0, maxTokens: 4, device: 'cpu' };
const read = (name: string): unknown => JSON.parse(readFileSync(join(pageRoot, name), 'utf8'));

interface Catalogue {
  models: { id: string; name: string; repo: string; file: string; bytes: number | null }[];
}

describe('models.json', () => {
  it('is what its schema says, and has models of all sizes', () => {
    const ajv = new Ajv({ allowUnionTypes: true });
    const check = ajv.compile(read('models.schema.json') as object);
    const catalogue = read('models.json') as Catalogue;
    check(catalogue);
    expect(check.errors).toBeNull();
    expect(check({ ...catalogue, models: catalogue.models.map((one) => ({ ...one, bytes: 'many' })) })).toBe(false);
    expect(new Set(catalogue.models.map(({ id }) => id)).size).toBe(catalogue.models.length);
    const sizes = catalogue.models.flatMap(({ bytes }) => bytes ?? []);
    expect(Math.min(...sizes)).toBeLessThan(150e6);
    expect(Math.max(...sizes)).toBeGreaterThan(4e9);
    for (const { repo } of catalogue.models) expect(repo).not.toContain('..');
  });
});

/** Hugging Face as it is for the page: a list of files, and one model behind each of their names. */
async function playHub(context: BrowserContext, asked: string[] = []): Promise<void> {
  const headers = { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' };
  const gguf = Buffer.from(tinyModel({ chatTemplate: chatMl, name: 'Played' })[0]!);
  const folder = new Map([...tinyFolder(2)].map(([name, bytes]) => [name, Buffer.from(bytes)]));
  await context.route('https://huggingface.co/**', async (route: Route) => {
    const { pathname } = new URL(route.request().url());
    asked.push(pathname);
    if (route.request().method() === 'OPTIONS') {
      return route.fulfill({ status: 204, headers: { ...headers, 'access-control-allow-headers': '*' } });
    }
    if (pathname.includes('/api/models/own/none/')) return route.fulfill({ status: 404, headers });
    if (pathname.includes('/own/weights/tree/')) {
      const files = [...folder].map(([path, { length }]) => ({ type: 'file', path, size: length }));
      return route.fulfill({ json: files, headers });
    }
    if (pathname.includes('/tree/')) {
      const files = [
        { type: 'file', path: 'b-Q8_0.gguf', size: 2_000_000 },
        { type: 'file', path: 'a-Q4_0.gguf', size: 1_000_000 },
        { type: 'file', path: 'README.md', size: 10 },
      ];
      return route.fulfill({ json: files, headers });
    }
    const model = pathname.startsWith('/own/weights/') ? (folder.get(pathname.split('/').pop()!) ?? gguf) : gguf;
    const range = /^bytes=(\d+)-(\d*)$/.exec((await route.request().headerValue('range')) ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Math.min(Number(range[2]), model.length - 1) : model.length - 1;
    const part = { 'content-range': `bytes ${start}-${end}/${model.length}`, 'accept-ranges': 'bytes' };
    const status = range ? 206 : 200;
    return route.fulfill({ status, body: model.subarray(start, end + 1), headers: { ...headers, ...part } });
  });
}

async function openAddress(page: Page, address: string): Promise<void> {
  await page.getByLabel('Address of a model').fill(address);
  await page.getByRole('button', { name: 'Open address' }).click();
}

describe('the catalogue', () => {
  it('asks nobody by itself; says whether a model fits; opens it', async (test) => {
    const asked: string[] = [];
    await chat.visit(test, { path: noModel, settings, before: (context) => playHub(context, asked) }, async (page) => {
      const list = page.getByRole('region', { name: 'Models to download' });
      const { models } = read('models.json') as Catalogue;
      await list.getByText(models[0]!.name, { exact: true }).waitFor();
      expect(await list.getByRole('listitem').count()).toBe(models.length);
      expect(asked).toEqual([]);
      await list.getByRole('button', { name: `Does it fit? ${models[0]!.name}` }).click();
      await list.getByText(/^Fits this device: .* on the CPU, .* tokens of context$/).waitFor();
      expect(asked.every((path) => path.includes(models[0]!.repo))).toBe(true);
      expect(await findings(page, 'catalogue')).toEqual([]);
      await list.getByRole('button', { name: `Open ${models[1]!.name}`, exact: true }).click();
      await page.getByRole('button', { name: 'Load model' }).waitFor();
    });
  });

  it('lists the files of a repository, and says what is wrong with one', async (test) => {
    await chat.visit(
      test,
      { path: noModel, settings, before: (context) => playHub(context), expected: /404/ },
      async (page) => {
        await openAddress(page, 'own/none');
        await page.getByRole('alert').getByText('There is no such model on Hugging Face').waitFor();
        await openAddress(page, 'https://huggingface.co/own/played-GGUF');
        const files = page.getByRole('region', { name: 'Files of own/played-GGUF' });
        await files.getByText('a-Q4_0.gguf').waitFor();
        expect(await files.getByRole('listitem').allInnerTexts()).toEqual([
          'a-Q4_0.gguf\n1.0 MB',
          'b-Q8_0.gguf\n2.0 MB',
        ]);
        expect(await findings(page, 'files')).toEqual([]);
        await files.getByRole('button', { name: /^a-Q4_0/ }).click();
        await page.getByRole('heading', { name: 'Played' }).waitFor();
        await page.getByRole('button', { name: 'Load model' }).click();
        await page.getByRole('textbox', { name: 'Message' }).waitFor();
        expect(new URL(page.url()).searchParams.get('model')).toBe('hf:own/played-GGUF/a-Q4_0.gguf');
      },
    );
  });
});

describe('weights as they are', () => {
  it('are opened from a repository that has no GGUF file, and kept as one model', async (test) => {
    await chat.visit(test, { path: noModel, settings, before: (context) => playHub(context) }, async (page) => {
      await openAddress(page, 'own/weights');
      const files = page.getByRole('region', { name: 'Files of own/weights' });
      await files.getByRole('button', { name: /^The weights as they are/ }).click();
      await page.getByRole('heading', { name: 'weights', exact: true }).waitFor();
      await page.getByRole('button', { name: 'Load model' }).click();
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
      expect(new URL(page.url()).searchParams.get('model')).toBe('hf:own/weights');
      await page.locator('.chip').click();
      await page.getByRole('button', { name: 'Another model' }).click();
      const kept = page.getByRole('region', { name: 'Kept models' });
      await kept.getByText('weights', { exact: true }).waitFor();
      expect(await kept.getByRole('listitem').count()).toBe(1);
      await kept.getByRole('button', { name: 'Delete weights' }).click();
      await kept.waitFor({ state: 'detached' });
    });
  });

  it('are opened from a folder that is chosen', async (test) => {
    const path = writeFolder('my-model', tinyFolder(2));
    await chat.visit(test, { path: noModel, settings }, async (page) => {
      await page.getByLabel('Model folder').setInputFiles(path);
      await page.getByRole('heading', { name: 'my-model', exact: true }).waitFor();
      await page.getByRole('button', { name: 'Load model' }).click();
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
      expect(await findings(page, 'folder')).toEqual([]);
    });
  });

  it('are opened from a folder that is dropped, without what lies in folders within it', async (test) => {
    const path = writeFolder('dropped-model', tinyFolder(2));
    mkdirSync(join(path, 'original'));
    writeFileSync(join(path, 'original/config.json'), '{}');
    await chat.visit(test, { path: noModel, settings }, async (page) => {
      await drop(page, path);
      await page.getByRole('heading', { name: 'dropped-model', exact: true }).waitFor();
      await page.getByRole('button', { name: 'Load model' }).click();
      await page.getByRole('textbox', { name: 'Message' }).waitFor();
      expect(await page.locator('.drop').count()).toBe(0);
      await page.locator('.chip').click();
      await page.getByRole('button', { name: 'Another model' }).click();
      await drop(page, writeFolder('no-model', new Map([['notes.txt', Buffer.from('none')]])));
      await page.getByRole('alert').getByText('no-model has neither a GGUF file nor a config.json').waitFor();
    });
  });

  it('are opened with AQLM’s codes, dropped', async (test) => {
    const path = fileURLToPath(new URL('../../../../shared/vectors/sources/aqlm/models/llama-2x8g8', import.meta.url));
    if (!existsSync(path)) return test.skip();
    await chat.visit(test, { path: noModel, settings }, async (page) => {
      await drop(page, path);
      await page.getByRole('heading', { name: 'llama-2x8g8', exact: true }).waitFor();
      await page.getByRole('button', { name: 'Load model' }).click();
      await page.getByRole('textbox').waitFor();
      await page.locator('.chip-device', { hasText: 'CPU' }).waitFor();
    });
  });
});

function writeFolder(name: string, files: Map<string, Uint8Array>): string {
  const path = join(chat.folder, name);
  mkdirSync(path);
  for (const [each, bytes] of files) writeFileSync(join(path, each), bytes);
  return path;
}

/** As a person does: by the browser's own events of dragging, with an entry of the file system behind them. */
async function drop(page: Page, path: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: 200, y: 200, data });
    if (type === 'dragOver') await page.locator('.drop').waitFor();
  }
}

describe('a loaded model', () => {
  it('stays until the next one is ready, and after one that cannot be opened', async (test) => {
    await chat.visit(
      test,
      { path: '/?model=hf:own/first/a.gguf', settings, before: (context) => playHub(context), expected: /404/ },
      async (page) => {
        const field = page.getByRole('textbox', { name: 'Message' });
        await field.waitFor();
        await page.locator('.chip').click();
        await page.getByRole('button', { name: 'Another model' }).click();
        const kept = page.getByRole('region', { name: 'Kept models' });
        await kept.getByText('a.gguf').waitFor();
        await openAddress(page, '/models/none.gguf');
        await page.getByRole('alert').getByText('none.gguf cannot be opened').waitFor();
        await field.fill('still there?');
        await page.getByRole('button', { name: 'Send' }).click();
        await page.locator('.answer .figures').waitFor();

        await page.locator('.chip').click();
        await page.getByRole('button', { name: 'Another model' }).click();
        await openAddress(page, '/models/chatty.gguf');
        await page.getByText('Played keeps answering until this one is ready.').waitFor();
        await page.getByRole('button', { name: 'Cancel' }).click();
        expect(new URL(page.url()).searchParams.get('model')).toBe('hf:own/first/a.gguf');
        await page.locator('.chip').click();
        await page.getByRole('button', { name: 'Another model' }).click();
        await openAddress(page, '/models/chatty.gguf');
        await page.getByRole('button', { name: 'Load model' }).click();
        await page.locator('.chip-name', { hasText: 'chatty' }).waitFor();

        // Both are kept, and can be had again or deleted where a model is chosen.
        await page.locator('.chip').click();
        await page.getByRole('button', { name: 'Another model' }).click();
        await kept.getByRole('button', { name: 'Delete chatty.gguf' }).waitFor();
        await kept.getByRole('button', { name: 'Open a.gguf' }).click();
        await page.getByRole('button', { name: 'Load model' }).click();
        await page.locator('.chip-name', { hasText: 'Played' }).waitFor();
      },
    );
  });
});
