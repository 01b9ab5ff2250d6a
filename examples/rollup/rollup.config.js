// Rollup does not follow workers and files that a package brings: it is left out of the bundle, and the page finds it by an
// import map, beside the bundle.
import { copyFileSync, cpSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

mkdirSync('dist', { recursive: true });
cpSync(dirname(fileURLToPath(import.meta.resolve('pronk/pronk.wasm'))), 'dist/pronk', { recursive: true });
copyFileSync('index.html', 'dist/index.html');

export default { input: 'main.js', output: { dir: 'dist', format: 'es' }, external: /^pronk(\/|$)/ };
