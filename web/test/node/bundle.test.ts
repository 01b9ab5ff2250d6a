// What a bundler takes of the package: the model in the box comes to those alone who import it, and is never dropped then.
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { afterAll, expect, it } from 'vitest';

const web = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pronk-bundle-'));
symlinkSync(web, join(folder, 'pronk'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bundle(code: string): Promise<{ inputs: string[]; text: string; meta: Metafile }> {
  writeFileSync(join(folder, 'main.js'), code);
  const { metafile, outputFiles } = await build({
    entryPoints: [join(folder, 'main.js')],
    nodePaths: [folder],
    absWorkingDir: folder,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    write: false,
    outdir: join(folder, 'out'),
  });
  const text = outputFiles.map((file) => file.text).join('');
  return { inputs: Object.keys(metafile.inputs).map((name) => name.replace(/^.*dist\//, '')), text, meta: metafile };
}

it('takes the model in the box where it is imported, for its name alone too', async () => {
  expect(readdirSync(join(web, 'dist/api'))).toContain('builtin-model.js');
  const use = "import { Pronk } from 'pronk'; Pronk.load('builtin');";
  const without = await bundle(use);
  expect(without.inputs).toContain('api/builtin.js');
  expect(without.inputs).not.toContain('api/builtin-model.js');
  expect(without.text).not.toContain('/pronk-box.gguf", import.meta.url');
  for (const form of [
    "import 'pronk/builtin';",
    "import { builtin } from 'pronk/builtin'; globalThis.name = builtin;",
  ]) {
    const { inputs, text } = await bundle(form + use);
    expect(inputs).toContain('api/builtin-model.js');
    expect(text).toContain('/pronk-box.gguf", import.meta.url');
  }
});

it('leaves grammars, templates and the AI SDK out of a page that only generates', async () => {
  const { inputs } = await bundle("import { Pronk } from 'pronk'; Pronk.load('a');");
  expect(inputs).not.toContain('api/ai-sdk.js');
  expect(inputs).not.toContain('api/template/jinja.js');
  expect(inputs.filter((name) => name.includes('xgrammar'))).toEqual([]);
  const constrained = await bundle("import 'pronk/constraints'; import { inThread } from 'pronk/in-thread'; inThread;");
  expect(constrained.inputs).toContain('runtime/grammar/xgrammar-bundle.js');
});
