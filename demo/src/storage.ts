// Small things that survive a reload, in localStorage. It may be full or forbidden; the page then works without.
import { effect, type Signal, signal } from '@preact/signals';

export const version = 1; // of all that is stored; what has another is not read

function parse(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}

export function readLocal(name: string): unknown {
  try {
    return parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

/**
 * A signal kept in localStorage, the same in all tabs; `accept` turns what is found there (anything) into a good value.
 * Values have no version of their own before the first.
 */
export function stored<T extends object>(key: string, accept: (found: object) => T): Signal<T> {
  const name = `pronk.${key}`;
  const accepted = (found: unknown): T => {
    const known = typeof found === 'object' && found !== null ? found : {};
    return accept('version' in known && known.version !== version ? {} : known);
  };
  const value = signal(accepted(readLocal(name)));
  let timer: number | undefined;
  let seen = value.peek(); // what storage has
  const write = (): void => {
    clearTimeout(timer);
    timer = undefined;
    seen = value.peek();
    try {
      localStorage.setItem(name, JSON.stringify({ version, ...seen }));
    } catch {
      // full or forbidden
    }
  };
  effect(() => {
    if (value.value !== seen) timer ??= window.setTimeout(write, 300);
  });
  addEventListener('pagehide', () => timer !== undefined && write());
  addEventListener('storage', (event) => {
    if (event.key === name) value.value = seen = accepted(parse(event.newValue));
  });
  return value;
}

/** Forgets all that is stored but models and conversations. */
export function clearLocal(): void {
  try {
    for (const name of Object.keys(localStorage)) if (name.startsWith('pronk.')) localStorage.removeItem(name);
  } catch {
    // forbidden
  }
}
