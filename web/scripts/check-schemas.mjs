// Asks the model in the box for an answer to every schema of a suite, with JSON Schema's own validator beside: what is accepted
// must give valid answers, what is not a clear error. Suites are as https://github.com/json-schema-org/JSON-Schema-Test-Suite.
//
// usage: node scripts/check-schemas.mjs FOLDER [--every N] [--verbose]
//   FOLDER   its tests/; --every N: one of N schemas
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Validator } from '@cfworker/json-schema';
import { Pronk } from '../dist/api/node.js';

const mostTokens = 100;
const drafts = { draft3: '4', draft4: '4', draft6: '7', draft7: '7', 'draft2019-09': '2019-09', 'draft2020-12': '2020-12' };

/** All schemas of the suite, each once: [draft, where, schema]. */
export function schemasOf(folder) {
  const found = new Map();
  for (const [draft, version] of Object.entries(drafts)) {
    const files = readdirSync(join(folder, draft), { recursive: true }).filter((name) => name.endsWith('.json'));
    for (const file of files.sort()) {
      for (const { description, schema } of JSON.parse(readFileSync(join(folder, draft, file), 'utf8'))) {
        const key = JSON.stringify(schema);
        if (!found.has(key)) found.set(key, { version, where: `${draft}/${file}: ${description}`, schema });
      }
    }
  }
  return [...found.values()];
}

/** What becomes of it: valid, refused, cut (by the limit of tokens), or what is wrong. */
export async function judge(engine, { version, schema }, seed) {
  const request = {
    messages: [{ role: 'user', content: 'Give me an example.' }],
    response_format: { type: 'json_schema', json_schema: { name: 'example', schema } },
    max_completion_tokens: mostTokens,
    temperature: 1,
    seed,
  };
  let choice;
  try {
    [choice] = (await engine.chat.completions.create(request)).choices;
  } catch (error) {
    const clear = error.code === 'bad-argument' && error.message.startsWith('response_format') && !error.message.includes('\n');
    return { verdict: clear ? 'refused' : 'unclear error', detail: error.message };
  }
  if (choice.finish_reason === 'length') return { verdict: 'cut', detail: choice.message.content };
  let value;
  try {
    value = JSON.parse(choice.message.content);
  } catch {
    return { verdict: 'no JSON', detail: choice.message.content };
  }
  const { valid, errors } = new Validator(schema, version, false).validate(value);
  const detail = valid ? choice.message.content : `${choice.message.content}: ${errors.at(-1)?.error}`;
  return { verdict: valid ? 'valid' : 'INVALID', detail };
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { every: { type: 'string', default: '1' }, verbose: { type: 'boolean', default: false } },
  });
  const schemas = schemasOf(positionals[0]).filter((_, i) => i % Number(values.every) === 0);
  const engine = await Pronk.load('builtin', { device: 'cpu', threads: 1, contextSize: 512 });
  const counts = {};
  for (const [i, one] of schemas.entries()) {
    const { verdict, detail } = await judge(engine, one, i);
    counts[verdict] = (counts[verdict] ?? 0) + 1;
    if (values.verbose || !['valid', 'refused', 'cut'].includes(verdict)) {
      console.log(`${verdict}: ${one.where}\n  ${JSON.stringify(one.schema).slice(0, 300)}\n  ${detail}`);
    }
  }
  await engine.unload();
  console.log(`${schemas.length} schemas: ${JSON.stringify(counts)}`);
}

if (process.argv[1] === import.meta.filename) await main();
