// What the head of an HTTP answer says.
import { PronkError } from './errors.js';

/** The server has no such file. Stores that do not list their files to everyone say 403. */
export class FileMissing extends PronkError {}

export function isMissing(response: Response): boolean {
  return [403, 404, 410].includes(response.status);
}

export function discard(response: Response): void {
  void response.body?.cancel().catch(() => {});
}

export function httpError(response: Response): string {
  return `the server answered ${response.status} ${response.statusText}`.trim();
}

export function lengthOf(response: Response): number {
  const text = response.headers.get('content-length');
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : -1;
}

export function validatorOf(response: Response): string | null {
  return response.headers.get('etag') ?? response.headers.get('last-modified');
}

// RFC 9110 §10.2.3: seconds, or a date.
export function retryAfter(response: Response): number {
  const text = response.headers.get('retry-after')?.trim();
  if (!text) return -1;
  if (/^\d{1,9}$/.test(text)) return 1000 * Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? -1 : Math.max(0, date - Date.now());
}
