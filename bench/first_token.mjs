// Seconds from the call that loads a model to its first token, in a fresh profile of Chromium with the driver's shader cache cold, then
// again in a new tab with both warm. usage: first_token.mjs PEERBENCH ENGINE,ENGINE MODEL CHROMIUM   (MESA's env-lavapipe sourced)
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [peerbench, engines, model, executable] = process.argv.slice(2);
const home = path.resolve(peerbench);
const own = (name) => import(pathToFileURL(path.join(home, name)).href);
const { launch } = await own('lib/browser.mjs');
const { startServer } = await own('lib/server.mjs');
const { readGguf, promptText, plainToken } = await own('lib/gguf.mjs');
const gguf = readGguf(model);
const modelUrl = `/model/${path.basename(model)}`;

async function measure(engine) {
  const adapter = await own(`adapters/${engine}.mjs`);
  const mounts = { '/adapters/': path.join(home, 'adapters') };
  for (const [at, folder] of Object.entries(adapter.mounts)) mounts[at] = path.resolve(home, folder);
  const server = await startServer({
    mounts,
    files: { '/': path.join(home, 'page.html'), [modelUrl]: path.resolve(model) },
  });
  process.env.MESA_SHADER_CACHE_DIR = mkdtempSync(path.join(tmpdir(), 'shaders-'));
  const browser = await launch({ executable, gpu: 1, extra: ['--ignore-gpu-blocklist'] });
  const once = async () => {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/`);
    const asked = {
      engine,
      load: { modelUrl, threads: 1, gpu: 1, nCtx: 256, source: 'url', opts: {} },
      prompt: { text: promptText(gguf, 16, 1), nGen: 2, token: plainToken(gguf) },
    };
    const seconds = await page.evaluate(async ({ engine, load, prompt }) => {
      const { load: open, generate } = await import(`/adapters/${engine}.mjs`);
      const begin = performance.now();
      const { backend } = await open(load);
      const loaded = performance.now();
      const { marks } = await generate(prompt);
      return { backend, load: (loaded - begin) / 1000, firstToken: (marks[0][1] - begin) / 1000 };
    }, asked);
    await page.close();
    return seconds;
  };
  try {
    const rounded = ({ backend, load, firstToken }) => ({
      backend,
      load: +load.toFixed(2),
      firstToken: +firstToken.toFixed(2),
    });
    console.log(
      JSON.stringify({ engine, model: path.basename(model), cold: rounded(await once()), warm: rounded(await once()) }),
    );
  } finally {
    await browser.close();
    server.close();
    rmSync(process.env.MESA_SHADER_CACHE_DIR, { recursive: true, force: true });
  }
}

for (const engine of engines.split(',')) await measure(engine);
