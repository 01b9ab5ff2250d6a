// How answers are made: by the settings, unless the conversation has its own.
import { computed, signal } from '@preact/signals';
import { acceptSampling, change, type Sampling, settings, suitingTemperature } from './settings';

/** What is chosen for the conversation that is open. */
export const ownSampling = signal<Partial<Sampling>>({});
export const sampling = computed<Sampling>(() => ({ ...settings.value, ...ownSampling.value }));
export const temperature = computed(() => sampling.value.temperature ?? suitingTemperature.value);

export function changeSampling(part: Partial<Sampling>): void {
  ownSampling.value = { ...ownSampling.value, ...part };
}

/** Makes what this conversation has the beginning of all new ones. */
export function useForNewOnes(): void {
  change(ownSampling.value);
  ownSampling.value = {};
}

/** The good ones of what was stored with a conversation (anything). */
export function acceptOwn(found: unknown): Partial<Sampling> {
  if (typeof found !== 'object' || found === null) return {};
  const good = acceptSampling(found);
  return Object.fromEntries(Object.entries(good).filter(([name]) => name in found));
}
