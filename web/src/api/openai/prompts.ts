import { FieldError, show } from './request.js';

const isTokens = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((id) => Number.isInteger(id) && (id as number) >= 0);

/** One or several texts, each as a text or as tokens. */
export function textsOf(field: string, value: unknown): (string | number[])[] {
  if (typeof value === 'string' || isTokens(value)) return [value];
  const good =
    Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string' || isTokens(one));
  if (!good) throw new FieldError(field, `is ${show(value)}, not a text, tokens, or a list of these`);
  return value as (string | number[])[];
}
