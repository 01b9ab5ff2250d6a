// What went wrong, and what the engine says of itself.
import { signal } from '@preact/signals';
import { PronkError } from 'pronk';

export interface Problem {
  title: string;
  detail: string;
  hint: string;
  retry: boolean; // the same choice may be tried again
}

export const problem = signal<Problem | null>(null);
/** What the engine says of itself: that it came back, that a file is not kept. */
export const notice = signal<string | null>(null);

export const hints: Partial<Record<PronkError['code'], string>> = {
  'bad-model': 'pronk reads GGUF files, version 2 or 3.',
  unsupported: 'A model of another family, or another file of this one, may run here.',
  'out-of-memory': 'A smaller context length in the settings, or a smaller model, may fit.',
  'no-webgpu': 'Choose “automatic” or “CPU” as the device in the settings, or another browser.',
  'device-lost': 'The graphics driver took the device away, often for lack of memory. Loading again usually helps.',
  network: 'Check the address and the connection. Other sites must allow downloads by this page (CORS).',
  'worker-crashed': 'The engine stopped. The next message starts it again.',
};

export function report(title: string, error: unknown): void {
  const code = error instanceof PronkError ? error.code : 'internal';
  if (code === 'aborted' || code === 'unloaded') return;
  const detail = error instanceof Error ? error.message : String(error);
  problem.value = { title, detail, hint: hints[code] ?? '', retry: true };
}
