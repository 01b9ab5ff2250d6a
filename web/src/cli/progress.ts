// What a person sees on standard error while a model loads.
import type { LoadProgress, Notice } from '../runtime/types.js';

const terminal = (): boolean => process.stderr.isTTY === true;

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** One line that is written over; nothing where standard error is no terminal. */
export function showProgress({ phase, loadedBytes, totalBytes, secondsLeft }: LoadProgress): void {
  if (!terminal()) return;
  const left = secondsLeft ? `, ${Math.ceil(secondsLeft)} s left` : '';
  const texts = {
    header: 'reading the header',
    weights: `${megabytes(loadedBytes)} of ${megabytes(totalBytes)}${left}`,
    prepare: 'preparing',
  };
  process.stderr.write(`\r\x1b[K${texts[phase]}`);
}

export function clearProgress(): void {
  if (terminal()) process.stderr.write('\r\x1b[K');
}

export const showNotice = ({ message }: Notice): void => void process.stderr.write(`pronk: ${message}\n`);
