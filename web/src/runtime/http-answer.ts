// What the head of an HTTP answer says.

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
