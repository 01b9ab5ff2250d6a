// Schemas of a public suite (drafts 3 and 4): what is accepted gives valid answers, what is not a clear error. The whole of newer
// ones: scripts/check-schemas.mjs.
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { boxGolden } from '../support/golden.js';

const { judge, schemasOf } = await import('../../scripts/check-schemas.mjs').catch(() => {
  throw new Error('web/dist is missing: run npm run build first');
});
const { Pronk } = (await import(`${'../../dist'}/api/node.js`)) as typeof import('../../src/api/node.js');
const suite = fileURLToPath(new URL('../../node_modules/json-schema-test-suite/tests', import.meta.url));

it.skipIf(!boxGolden())('none of a suite gives a wrong answer or an unclear error', async () => {
  const schemas = schemasOf(suite);
  expect(schemas.length).toBeGreaterThan(100);
  const engine = await Pronk.load('builtin', { device: 'cpu', threads: 1, contextSize: 512 });
  const counts: Record<string, number> = { valid: 0, refused: 0, cut: 0 };
  for (const [i, schema] of schemas.entries()) {
    const { verdict, detail } = await judge(engine, schema, i);
    expect(Object.keys(counts), `${schema.where}: ${JSON.stringify(schema.schema)}: ${detail}`).toContain(verdict);
    counts[verdict]!++;
  }
  expect(counts['valid']).toBeGreaterThan(schemas.length / 3);
  expect(counts['cut']).toBeLessThan(schemas.length / 8);
  await engine.unload();
});
