// The service worker, which makes the page open without a network, and what the browser says of keeping things.
import { effect, signal } from '@preact/signals';
import { restored } from './conversation';
import { next } from './model';

/** Registers it as soon as nothing is being loaded, so that it takes no time from what a person waits for. */
export function keepForOffline(): void {
  if (!('serviceWorker' in navigator) || !import.meta.env.PROD) return;
  const stop = effect(() => {
    if (!restored.value || next.value !== null) return;
    queueMicrotask(() => stop());
    // A browser may forbid it, as in a private window; the page then needs the network.
    navigator.serviceWorker.register('./sw.js').catch(() => {});
  });
}

export interface Storage {
  used: number; // bytes of this site
  quota: number; // that it may take
  kept: boolean; // whether the browser deletes nothing unasked
}

export const storage = signal<Storage | null>(null);
/** What the browser answered when it was asked to keep everything: null where it was not. */
export const granted = signal<boolean | null>(null);

export async function lookAtStorage(): Promise<void> {
  try {
    const [{ usage = 0, quota = 0 }, kept] = await Promise.all([
      navigator.storage.estimate(),
      navigator.storage.persisted(),
    ]);
    storage.value = { used: usage, quota, kept };
  } catch {
    storage.value = null; // forbidden, or the page came without TLS from another machine
  }
}

export async function askToKeep(): Promise<void> {
  granted.value = await navigator.storage.persist().catch(() => false);
  await lookAtStorage();
}
