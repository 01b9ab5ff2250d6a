// What `npm publish` would send: whole, with licence and source maps, and nothing that is not for users.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const web = fileURLToPath(new URL('../..', import.meta.url));

function packed(): string[] {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: web,
    encoding: 'utf8',
    timeout: 60_000,
  });
  const parsed = JSON.parse(output) as unknown;
  // npm 12 gives an object by package name, older ones an array.
  const [pack] = Object.values(parsed as Record<string, { files: { path: string }[] }>);
  return pack!.files.map(({ path }) => path);
}

it('the tarball has all that users need and nothing else', () => {
  const files = packed();
  const modules = ['', '-threads', '-relaxed', '-tune', '-folder'].map((name) => `dist/pronk${name}.wasm`);
  const needed = ['LICENSE', 'README.md', 'package.json', ...modules, 'dist/worker/worker.js'];
  const entries = ['dist/api/index.js', 'dist/api/node.js', 'dist/api/index.d.ts', 'dist/pronk-box.gguf'];
  expect(files).toEqual(expect.arrayContaining([...needed, ...entries]));
  const kinds =
    /^(LICENSE|README\.md|package\.json|dist\/pronk(-threads|-relaxed|-folder)?\.wasm|dist\/pronk-box\.gguf|dist\/.*\.(js|js\.map|d\.ts))$/;
  expect(files.filter((file) => !kinds.test(file))).toEqual([]);
  expect(files.filter((file) => /\.test\./.test(file))).toEqual([]);
});

it('each script has a source map that brings its source, but for the package that is shipped as it is', () => {
  const scripts = packed().filter((file) => file.endsWith('.js') && !file.endsWith('-bundle.js'));
  expect(scripts.length).toBeGreaterThan(30);
  for (const script of scripts) {
    const map = JSON.parse(readFileSync(join(web, `${script}.map`), 'utf8')) as { sourcesContent?: string[] };
    expect(map.sourcesContent?.[0]?.length, script).toBeGreaterThan(0);
    expect(readFileSync(join(web, script), 'utf8'), script).toContain('//# sourceMappingURL=');
  }
});

it('package.json says where it comes from', () => {
  const manifest = JSON.parse(readFileSync(join(web, 'package.json'), 'utf8')) as Record<string, never>;
  expect(manifest).toMatchObject({
    license: 'MIT',
    repository: { type: 'git', url: expect.stringMatching(/^git\+https:/) },
  });
  expect(manifest['keywords']).toEqual(expect.arrayContaining(['llm', 'webgpu', 'gguf']));
  expect(manifest['dependencies'] ?? {}).toEqual({});
});
