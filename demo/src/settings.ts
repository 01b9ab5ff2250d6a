import { computed, signal } from '@preact/signals';
import type { EngineOptions, GenerateOptions, KvType } from 'pronk';
import { stored } from './storage';

export interface Settings {
  system: string;
  temperature: number | null; // null: what suits the model
  topK: number;
  topP: number;
  minP: number;
  maxTokens: number;
  seed: number | null; // null: random
  contextSize: number | null; // null: as the model suggests
  largestContext: boolean; // instead as many tokens as fit
  memoryGigabytes: number | null; // null: no budget but the device's
  device: 'auto' | 'webgpu' | 'cpu';
  kv: KvType;
}

export const defaults: Settings = {
  system: '',
  temperature: null,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  maxTokens: 1024,
  seed: null,
  contextSize: null,
  largestContext: false,
  memoryGigabytes: null,
  device: 'auto',
  kv: 'f16',
};

export const kvTypes: readonly KvType[] = ['f16', 'q8_0', 'q4_0', 'f32'];

export const settings = stored<Settings>('settings', (found) => {
  const known = (typeof found === 'object' && found !== null ? found : {}) as Partial<Settings>;
  const number = (value: unknown, otherwise: number): number =>
    typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
  const optional = (value: unknown): number | null => (typeof value === 'number' && value >= 0 ? value : null);
  return {
    system: typeof known.system === 'string' ? known.system : '',
    temperature: optional(known.temperature),
    topK: number(known.topK, defaults.topK),
    topP: number(known.topP, defaults.topP),
    minP: number(known.minP, defaults.minP),
    maxTokens: number(known.maxTokens, defaults.maxTokens),
    seed: optional(known.seed),
    contextSize: optional(known.contextSize),
    largestContext: known.largestContext === true,
    memoryGigabytes: optional(known.memoryGigabytes),
    device: known.device === 'webgpu' || known.device === 'cpu' ? known.device : 'auto',
    kv: kvTypes.find((type) => type === known.kv) ?? defaults.kv,
  };
});

/** What suits the loaded model, where the person has chosen nothing. */
export const suitingTemperature = signal(0.8);
export const temperature = computed(() => settings.value.temperature ?? suitingTemperature.value);

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/** What loading depends on. */
export function engineOptions(): EngineOptions {
  const { contextSize, largestContext, memoryGigabytes, device, kv } = settings.value;
  const memoryBudget = memoryGigabytes === null ? undefined : Math.round(memoryGigabytes * 1e9);
  return { contextSize: largestContext ? 'auto' : (contextSize ?? undefined), memoryBudget, device, kv };
}

export function samplingOptions(): GenerateOptions {
  const { topK, topP, minP, maxTokens, seed } = settings.value;
  return { temperature: temperature.value, topK, topP, minP, maxTokens, seed: seed ?? undefined };
}
