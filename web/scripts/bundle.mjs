// Other packages that are shipped inside this one, each as a script of its own: so a page without a bundler can use them,
// and a worker that a bundler copies.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const web = fileURLToPath(new URL('..', import.meta.url));
const packages = join(web, 'node_modules');

/** Chat templates in Jinja: the built script has it inside afterwards. */
export async function bundleJinja(dist) {
  const script = join(dist, 'api/template/jinja.js');
  const licence = readFileSync(join(packages, '@huggingface/jinja/LICENSE'), 'utf8');
  await build({
    input: script,
    platform: 'neutral',
    resolve: { mainFields: ['module'] },
    output: {
      file: script,
      format: 'es',
      sourcemap: true,
      minify: { mangle: false },
      banner: `/*! @huggingface/jinja\n${licence}*/`,
    },
    logLevel: 'warn',
  });
}

/** Grammars: see src/runtime/grammar/xgrammar.ts. */
export function bundleXGrammar(dist) {
  const code = readFileSync(join(packages, '@mlc-ai/web-xgrammar/lib/index.js'), 'utf8');
  const licence = readFileSync(join(web, 'scripts/licences/Apache-2.0.txt'), 'utf8');
  const notice = `/*! @mlc-ai/web-xgrammar (https://github.com/mlc-ai/xgrammar)\n${licence}*/\n`;
  writeFileSync(join(dist, 'runtime/grammar/xgrammar-bundle.js'), notice + xgrammarModule(code));
}

// The package is a script for <script> and require(). As a module it gets what it looks for as parameters, so that it
// takes each place for a worker, where it needs nothing of the platform: its WASM is inside.
function xgrammarModule(original) {
  const exported = 'exports.TokenizerInfo = TokenizerInfo;';
  // What only its path for Node would run, and bundlers for the web stumble over.
  const forNode = ["await import('module')", "require('u' + 'rl')"];
  let code = original.replace(/\n\/\/# sourceMappingURL=.*/, '');
  for (const part of [exported, ...forNode]) {
    if (!code.includes(part)) throw new Error('web-xgrammar is not as this script knows it');
  }
  for (const part of forNode) code = code.replaceAll(part, '{}');
  const more = `exports.nextMask = (matcher) => {
    const words = matcher.handle.GetNextTokenBitmask(matcher.vocab_size);
    const mask = binding.vecIntToView(words).slice();
    words.delete();
    return mask;
  };
  exports.takeComplaints = () => complaints.splice(0);`;
  const parameters = {
    process: 'undefined',
    document: 'undefined',
    window: 'undefined',
    define: 'undefined',
    importScripts: '() => {}',
    location: "{ href: '' }",
    self: "{ location: { href: '' } }",
    module: '{}',
    console: '{ log: complain, warn: complain, error: complain }',
  };
  return `/** A copy with a memory of its own. */
export function create() {
const exports = {};
const complaints = [];
const complain = (text) => complaints.push(String(text));
(function (${Object.keys(parameters).join(', ')}) {
${code.replace(exported, `${exported}\n${more}`)}
})(${Object.values(parameters).join(', ')});
return exports;
}
`;
}
