// Makes a built package (a folder dist/) one without the model in the box: loading 'builtin' is then a clear error.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function withoutModel(dist) {
  const script = join(dist, 'api/builtin-model.js');
  const text = readFileSync(script, 'utf8');
  const changed = text.replace("new URL('../pronk-box.gguf', import.meta.url)", 'null');
  if (changed === text) throw new Error(`${script} does not name the model as expected`);
  writeFileSync(script, changed);
  rmSync(join(dist, 'pronk-box.gguf'), { force: true });
}
