// JSON schemas as xgrammar can keep them: what it would pass over is refused by name.
import { PronkError } from '../errors.js';

type Schema = Record<string, unknown>;

const ignored = [
  'not',
  'if',
  'then',
  'else',
  'uniqueItems',
  'contains',
  'minContains',
  'maxContains',
  'multipleOf',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  '$dynamicRef',
];
const single = ['items', 'additionalProperties', 'unevaluatedProperties', 'unevaluatedItems', 'propertyNames'];
const lists = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const maps = ['properties', 'patternProperties', '$defs', 'definitions'];
const deepest = 64;

/**
 * A copy in which objects have the properties that are listed and no others, unless the schema says so itself. A keyword
 * that could not be kept is an error 'bad-argument'.
 */
export function keptSchema(schema: unknown, path = 'the schema', depth = 0): unknown {
  if (typeof schema === 'boolean') return schema;
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw refused(path, 'is no object');
  if (depth > deepest) throw refused(path, `has more than ${deepest} levels`);
  const given = schema as Schema;
  for (const key of ignored) {
    if (given[key] !== undefined && given[key] !== false) throw refused(`${path}.${key}`, 'is not supported');
  }
  if (typeof given['$ref'] === 'string' && !given['$ref'].startsWith('#'))
    throw refused(`${path}.$ref`, 'is not within it');
  const kept: Schema = { ...given };
  const deeper = (value: unknown, key: string): unknown => keptSchema(value, `${path}.${key}`, depth + 1);
  for (const key of single) if (kept[key] !== undefined) kept[key] = deeper(kept[key], key);
  for (const key of lists) {
    const list = kept[key];
    if (Array.isArray(list)) kept[key] = list.map((each: unknown, i) => deeper(each, `${key}[${i}]`));
  }
  for (const key of maps) {
    const map = kept[key];
    if (typeof map !== 'object' || map === null) continue;
    kept[key] = Object.fromEntries(Object.entries(map).map(([name, each]) => [name, deeper(each, `${key}.${name}`)]));
  }
  const open = ['additionalProperties', 'patternProperties', 'unevaluatedProperties'];
  if (kept['properties'] && open.every((key) => kept[key] === undefined)) kept['additionalProperties'] = false;
  return kept;
}

function refused(path: string, why: string): PronkError {
  return new PronkError('bad-argument', `${path} ${why}`);
}
