// Builds the package: TypeScript to dist/, and beside it the WASM modules, the model in the box and the licence.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleJinja, bundleXGrammar } from './bundle.mjs';
import { withoutModel } from './without-model.mjs';

const web = fileURLToPath(new URL('..', import.meta.url));
const modules = ['', '-threads', '-relaxed', '-tune', '-folder'].map((name) => `pronk${name}.wasm`);
const builtModule = (name) => join(web, '../build/wasm', name);
const box = join(web, '../models/pronk-box.gguf');
const dist = join(web, 'dist');

for (const name of modules.filter((name) => !existsSync(builtModule(name)))) {
  console.error(`build: ../build/wasm/${name} is missing; run tools/build.sh wasm first`);
  process.exit(1);
}
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
rmSync(dist, { recursive: true, force: true });
try {
  execFileSync(process.execPath, [tsc, '-p', join(web, 'tsconfig.build.json')], { stdio: 'inherit', timeout: 240_000 });
} catch {
  process.exit(1); // the compiler has said why
}
await bundleJinja(dist);
bundleXGrammar(dist);
for (const name of modules) copyFileSync(builtModule(name), join(dist, name));
copyFileSync(join(web, '../LICENSE'), join(web, 'LICENSE')); // npm packs the one beside package.json

if (existsSync(box)) {
  copyFileSync(box, join(dist, 'pronk-box.gguf'));
} else {
  console.warn("build: no models/pronk-box.gguf; loading 'builtin' will be an error");
  withoutModel(dist);
}
