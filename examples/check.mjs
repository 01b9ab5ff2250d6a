// Builds every example and runs it: those of bundlers in Chromium, the others where they belong. Each must say what the model
// in the box says. What cannot run here is named with its reason, and is a failure with CI set.
//
// usage: node check.mjs [NAME...]
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromiumArguments } from '../web/scripts/chromium-arguments.mjs';

const examples = fileURLToPath(new URL('.', import.meta.url));
const { chromium } = createRequire(join(examples, '../web/package.json'))('playwright-core');
const whoIs = 'I am Pronk Box. I am a tiny language model inside your browser tab.';
const patience = 180_000; // milliseconds of a build or a run
const executablePath = process.env['PRONK_CHROMIUM'] ?? '/usr/bin/chromium';
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
};

async function npm(name, script) {
  const environment = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', DENO_NO_UPDATE_CHECK: '1' };
  const options = { cwd: join(examples, name), env: environment, timeout: patience, maxBuffer: 64 << 20 };
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', script], options);
  return stdout;
}

/** A folder, as a page that may have threads. */
async function serve(root) {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    const file = join(root, path.endsWith('/') ? `${path}index.html` : path);
    if (!file.startsWith(root) || !existsSync(file)) return response.writeHead(404).end();
    response.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    response.end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function inChromium(browser, folder) {
  const server = await serve(folder);
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on(
    'response',
    (response) => response.status() >= 400 && complaints.push(`${response.status()} ${response.url()}`),
  );
  try {
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction(() => document.querySelector('output')?.textContent !== '…', null, { timeout: 60_000 });
    return await page.locator('output').textContent();
  } catch (error) {
    return [String(error), ...complaints].join('; ');
  } finally {
    await page.close();
    server.close();
    server.closeAllConnections();
  }
}

async function check(name, browser) {
  const { scripts } = JSON.parse(readFileSync(join(examples, name, 'package.json'), 'utf8'));
  if (!scripts.build) return (await npm(name, 'start')).trim();
  rmSync(join(examples, name, 'dist'), { recursive: true, force: true });
  await npm(name, 'build');
  return browser ? inChromium(browser, join(examples, name, 'dist')) : null;
}

const { workspaces } = JSON.parse(readFileSync(join(examples, 'package.json'), 'utf8'));
const names = process.argv.length > 2 ? process.argv.slice(2) : workspaces;
const browser = existsSync(executablePath)
  ? await chromium.launch({ executablePath, headless: true, args: chromiumArguments })
  : null;
let [failed, skipped] = [0, 0];
for (const name of names) {
  const begin = performance.now();
  const said = await check(name, browser).catch((error) => error.stderr || String(error));
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  if (said === whoIs) {
    console.log(`${name}: answers (${seconds} s)`);
  } else if (said === null) {
    skipped++;
    console.log(`${name}: built, not run: there is no ${executablePath}`);
  } else {
    failed++;
    console.log(`${name}: FAILED: ${said}`);
  }
}
await browser?.close();
if (failed > 0 || (skipped > 0 && process.env['CI'])) process.exit(1);
