// Writes the service worker: what it keeps, and a version that changes with it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

// What loads when it is first needed is kept when it has been.
const notAtOnce = /^assets\/(lazy|xgrammar-bundle|pronk-tune|pronk-folder)-|^sw\.js$|^index\.html$|\.map$/;

export function offline(): Plugin {
  let folder = '';
  return {
    name: 'offline',
    apply: 'build',
    configResolved: ({ root, build }) => {
      folder = join(root, build.outDir);
    },
    closeBundle() {
      const names = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
        .filter((name) => !notAtOnce.test(name))
        .sort();
      const files = ['./', ...names];
      const hash = createHash('sha256').update(readFileSync(join(folder, 'index.html')));
      for (const name of names) hash.update(name).update(readFileSync(join(folder, name)));
      const source = readFileSync(join(import.meta.dirname, 'service-worker.js'), 'utf8')
        .replace('__VERSION__', hash.digest('hex').slice(0, 16))
        .replace('__FILES__', JSON.stringify(files));
      writeFileSync(join(folder, 'sw.js'), source);
    },
  };
}
