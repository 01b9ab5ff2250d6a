// The API reference of the package, in docs/: TypeDoc, which fails on what is exported and not documented. It lies apart, in
// docs-tool/, because it needs an older compiler than the package.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tool = fileURLToPath(new URL('../docs-tool', import.meta.url));
const run = (command, ...rest) => execFileSync(command, rest, { cwd: tool, stdio: 'inherit', timeout: 600_000 });
try {
  if (!existsSync(join(tool, 'node_modules/typedoc'))) run('npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error');
  run(process.execPath, 'node_modules/typedoc/bin/typedoc', '--options', 'typedoc.json');
} catch {
  process.exit(1); // it has said why
}
