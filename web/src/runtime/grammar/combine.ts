// Schemas that several parts make together: xgrammar takes one of the parts and passes over what stands beside it, so they are
// made one here, or refused.

export type Schema = Record<string, unknown>;

// What says nothing of a value.
const annotations = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$schema',
  '$id',
  'id',
  '$anchor',
  '$vocabulary',
  '$defs',
  'definitions',
]);
// What looks at the properties or items of its own part alone, or of all: it cannot be moved to another.
const local = [
  'additionalProperties',
  'unevaluatedProperties',
  'patternProperties',
  'propertyNames',
  'unevaluatedItems',
];
const tied = [...local, 'items', 'prefixItems', 'additionalItems'];

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The keywords that a value must meet. */
export function demands(schema: Schema): string[] {
  return Object.keys(schema).filter((key) => !annotations.has(key));
}

/** One schema of what all parts demand together; a text: why there is none. */
export function together(parts: readonly unknown[]): Schema | string {
  const merged: Schema = {};
  const objects = parts.filter((part): part is Schema => part !== true);
  if (!objects.every(isObject)) return 'has a part that nothing meets';
  const demanding = objects.filter((part) => demands(part).length > 0);
  if (demanding.length > 1 && demanding.some((part) => '$ref' in part)) return 'has $ref beside others';
  if (demanding.length > 1 && demanding.some((part) => tied.some((key) => key in part))) {
    const others = demanding.some((part, i) =>
      demanding.some((other, j) => i !== j && touches(part) && touches(other)),
    );
    if (others) return 'has parts that speak of the same properties or items';
  }
  for (const part of objects) {
    for (const [key, value] of Object.entries(part)) {
      const before = merged[key];
      if (before === undefined || annotations.has(key) || same(before, value)) merged[key] = value;
      else if (key === 'required') merged[key] = [...new Set([...(before as string[]), ...(value as string[])])];
      else if (key === 'properties' && disjoint(before, value))
        merged[key] = { ...(before as Schema), ...(value as Schema) };
      else return `has parts that differ in ${key}`;
    }
  }
  return merged;
}

const touches = (part: Schema): boolean => [...tied, 'properties', 'minItems', 'maxItems'].some((key) => key in part);
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const disjoint = (a: unknown, b: unknown): boolean =>
  isObject(a) && isObject(b) && Object.keys(a).every((name) => !Object.hasOwn(b, name));

/** Whether no value meets two of them, as far as their types and constants tell. */
export function exclusive(schemas: readonly unknown[]): boolean {
  return schemas.every((a, i) => schemas.slice(i + 1).every((b) => isObject(a) && isObject(b) && apart(a, b)));
}

function apart(a: Schema, b: Schema): boolean {
  const [types, others] = [typesOf(a), typesOf(b)];
  if (types && others && !types.some((type) => others.some((other) => overlap(type, other)))) return true;
  const [values, rest] = [valuesOf(a), valuesOf(b)];
  if (values && rest) return !values.some((value) => rest.some((other) => same(value, other)));
  return discriminated(a, b);
}

/** By a property that both require, with constants of its own in each. */
function discriminated(a: Schema, b: Schema): boolean {
  const required = (schema: Schema, name: string): boolean =>
    schema['type'] === 'object' && Array.isArray(schema['required']) && schema['required'].includes(name);
  if (!isObject(a['properties']) || !isObject(b['properties'])) return false;
  const { properties: ofA } = a as { properties: Schema };
  const { properties: ofB } = b as { properties: Schema };
  return Object.keys(ofA).some((name) => {
    if (!required(a, name) || !required(b, name)) return false;
    const [values, rest] = [valuesOf(ofA[name]), valuesOf(ofB[name])];
    return values && rest ? !values.some((value) => rest.some((other) => same(value, other))) : false;
  });
}

function typesOf({ type }: Schema): string[] | null {
  if (typeof type === 'string') return [type];
  return Array.isArray(type) ? (type as string[]) : null;
}

function valuesOf(schema: unknown): unknown[] | null {
  if (!isObject(schema)) return null;
  if ('const' in schema) return [schema['const']];
  return Array.isArray(schema['enum']) ? schema['enum'] : null;
}

const overlap = (a: string, b: string): boolean => a === b || [a, b].sort().join() === 'integer,number';
