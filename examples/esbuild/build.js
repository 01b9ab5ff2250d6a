// esbuild does not follow workers and files that a package brings: it is left out of the bundle, and the page finds it by an
// import map, beside the bundle.
import { copyFileSync, cpSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

await build({
  entryPoints: ['main.js'],
  outdir: 'dist',
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  external: ['pronk', 'pronk/*'],
});
cpSync(dirname(fileURLToPath(import.meta.resolve('pronk/pronk.wasm'))), 'dist/pronk', { recursive: true });
copyFileSync('index.html', 'dist/index.html');
