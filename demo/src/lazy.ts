// What loads when it is first needed: a signal is null until then. A part that cannot be had is asked for again later.
import { type ReadonlySignal, signal } from '@preact/signals';

export function lazy<T>(load: () => Promise<T>): { value: ReadonlySignal<T | null>; want(): void } {
  const value = signal<T | null>(null);
  let asked = false;
  return {
    value,
    want() {
      if (asked) return;
      asked = true;
      load().then(
        (loaded) => (value.value = loaded),
        () => (asked = false),
      );
    },
  };
}
