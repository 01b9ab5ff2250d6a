// What the READMEs show compiles against the package's types.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const web = fileURLToPath(new URL('../..', import.meta.url));
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

// What snippets may use without saying where it comes from.
const surroundings = `
declare const url: string;
declare function show(text: string): void;
`;

function snippets(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  return Array.from(text.matchAll(/^```(?:js|ts|javascript|typescript|tsx|jsx)\n(.*?)^```/gms), ([, code]) => code!);
}

/** The compiler's complaints about snippets; '' when it has none. */
function complaints(codes: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'pronk-snippets-'));
  try {
    writeFileSync(join(folder, 'surroundings.d.ts'), surroundings);
    codes.forEach((code, i) => writeFileSync(join(folder, `snippet-${i}.ts`), code));
    const compilerOptions = {
      noEmit: true,
      strict: true,
      target: 'es2022',
      lib: ['es2023', 'dom', 'dom.iterable', 'esnext.disposable'],
      module: 'esnext',
      moduleResolution: 'bundler',
      moduleDetection: 'force',
      skipLibCheck: true,
      typeRoots: [join(web, 'node_modules/@types')],
      types: ['node', join(web, 'node_modules/@webgpu/types')],
      paths: {
        pronk: [join(web, 'src/api/index.ts')],
        'pronk/builtin': [join(web, 'src/api/builtin-model.ts')],
        'pronk/ai-sdk': [join(web, 'src/api/ai-sdk.ts')],
      },
    };
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    symlinkSync(join(web, 'node_modules'), join(folder, 'node_modules')); // what a reader would install
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    execFileSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', timeout: 100_000 });
    return '';
  } catch (error) {
    return (error as { stdout?: string }).stdout || String(error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it('every snippet of the READMEs compiles', () => {
  const codes = [join(web, '../README.md'), join(web, 'README.md')].map(snippets);
  expect(codes.map((each) => each.length)).toEqual([expect.any(Number), expect.any(Number)]);
  expect(Math.min(...codes.map((each) => each.length))).toBeGreaterThan(0);
  expect(complaints(codes.flat())).toBe('');
}, 120_000);

it('a field that there is none of would be found', () => {
  const code = "import { Pronk } from 'pronk';\nawait Pronk.load(url, { onProgress: ({ loaded }) => show(loaded) });";
  expect(complaints([code])).toMatch(/'loaded' does not exist/);
}, 120_000);
