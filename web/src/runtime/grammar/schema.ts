// JSON schemas as xgrammar can keep them: what it would pass over is refused by name.
import { PronkError } from '../errors.js';
import { demands, exclusive, type Schema, together } from './combine.js';

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
  '$recursiveRef',
];
const single = ['items', 'additionalProperties', 'unevaluatedProperties', 'unevaluatedItems', 'propertyNames'];
const lists = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const maps = ['properties', 'patternProperties', '$defs', 'definitions'];
const numeric = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'];
const deepest = 64;

/**
 * A copy in which objects have the properties that are listed and no others, unless the schema says so itself. A keyword
 * that could not be kept is an error 'bad-argument'.
 */
export function keptSchema(schema: unknown, path = 'the schema', depth = 0): unknown {
  if (schema === true) return schema;
  if (schema === false) throw refused(path, 'is false: nothing meets it');
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) throw refused(path, 'is no object');
  if (depth > deepest) throw refused(path, `has more than ${deepest} levels`);
  const given = combined(schema as Schema, path);
  for (const key of ignored) {
    if (given[key] !== undefined && given[key] !== false) throw refused(`${path}.${key}`, 'is not supported');
  }
  checkRef(given, path);
  checkObject(given, path);
  const kept: Schema = { ...given, ...typeFrom(given) };
  const deeper = (value: unknown, key: string): unknown => keptSchema(value, `${path}.${key}`, depth + 1);
  // False there means: no others.
  for (const key of single) if (kept[key] !== undefined && kept[key] !== false) kept[key] = deeper(kept[key], key);
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

/** The same with what stands beside anyOf, oneOf and allOf put into them. */
function combined(schema: Schema, path: string): Schema {
  const { anyOf, oneOf, allOf, ...rest } = schema;
  const lists = { anyOf, oneOf, allOf };
  const named = Object.entries(lists).filter(([, list]) => list !== undefined);
  if (named.length === 0) return schema;
  const [[key, list], ...others] = named as [[string, unknown], ...unknown[]];
  if (others.length > 0) throw refused(path, `has ${key} beside another of its kind, which is not supported`);
  if (!Array.isArray(list)) throw refused(`${path}.${key}`, 'is no list');
  if (key === 'oneOf' && list.length > 1 && !exclusive(list)) {
    throw refused(`${path}.oneOf`, 'is not supported: its parts do not exclude each other by their types or constants');
  }
  const made = (parts: unknown[]): Schema => {
    const one = together(parts);
    if (typeof one === 'string') throw refused(`${path}.${key}`, `is not supported: it ${one}`);
    return one;
  };
  if (key === 'allOf') return combined(made([rest, ...list]), path);
  if (demands(rest).length === 0) return { ...rest, anyOf: list };
  const { $defs, definitions, ...demanded } = rest;
  const definitionsOf = { ...($defs !== undefined && { $defs }), ...(definitions !== undefined && { definitions }) };
  return { ...definitionsOf, anyOf: list.map((part: unknown) => made([demanded, part])) };
}

function checkRef(schema: Schema, path: string): void {
  const ref = schema['$ref'];
  if (ref === undefined) return;
  if (typeof ref !== 'string' || !/^#(\/|$)/.test(ref)) throw refused(`${path}.$ref`, 'is not a place within it');
  const [beside] = demands(schema).filter((key) => key !== '$ref');
  if (beside !== undefined) throw refused(`${path}.${beside}`, 'is not supported beside $ref');
}

/** Keywords of objects and numbers that are not kept together. */
function checkObject(schema: Schema, path: string): void {
  const about = ['properties', 'additionalProperties', 'patternProperties', 'unevaluatedProperties'];
  const beside = about.find((key) => schema[key] !== undefined);
  if (schema['propertyNames'] !== undefined && beside !== undefined) {
    throw refused(`${path}.propertyNames`, `is not supported beside ${beside}`);
  }
  for (const key of ['exclusiveMinimum', 'exclusiveMaximum']) {
    if (typeof schema[key] === 'boolean') throw refused(`${path}.${key}`, 'is not a number');
  }
  for (const key of numeric) {
    if (Math.abs(schema[key] as number) > Number.MAX_SAFE_INTEGER) throw refused(`${path}.${key}`, 'is beyond 2^53');
  }
}

/** A bound without a type is one of numbers alone, and numbers within it meet whatever else is said. */
function typeFrom(schema: Schema): { type?: string } {
  const free = ['type', 'enum', 'const', '$ref', 'anyOf'].every((key) => schema[key] === undefined);
  return free && numeric.some((key) => schema[key] !== undefined) ? { type: 'number' } : {};
}

function refused(path: string, why: string): PronkError {
  return new PronkError('bad-argument', `${path} ${why}`);
}
