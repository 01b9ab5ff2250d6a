// What survives a reload. Storage may be full or forbidden; the page then works without.
import { effect, type Signal, signal } from '@preact/signals';

function read(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null');
  } catch {
    return null;
  }
}

/** A signal kept in localStorage; `accept` turns what is found there (anything) into a good value. */
export function stored<T>(key: string, accept: (found: unknown) => T): Signal<T> {
  const name = `pronk.${key}`;
  const value = signal(accept(read(name)));
  let timer: number | undefined;
  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    try {
      localStorage.setItem(name, JSON.stringify(value.peek()));
    } catch {
      // full or forbidden
    }
  };
  let first = true;
  effect(() => {
    void value.value;
    if (!first) timer ??= window.setTimeout(write, 300);
    first = false;
  });
  addEventListener('pagehide', () => timer !== undefined && write());
  return value;
}
