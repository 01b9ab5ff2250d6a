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

const devices: readonly Settings['device'][] = ['auto', 'webgpu', 'cpu'];
export const kvTypes: readonly KvType[] = ['f16', 'q8_0', 'q4_0', 'f32'];

const within = (value: unknown, least: number, most: number): value is number =>
  typeof value === 'number' && value >= least && value <= most;

export const settings = stored<Settings>('settings', (found) => {
  const known = found as Partial<Settings>;
  const number = (name: 'topK' | 'topP' | 'minP' | 'maxTokens', least: number, most: number): number =>
    within(known[name], least, most) ? known[name] : defaults[name];
  const optional = (value: unknown, least: number, most: number): number | null =>
    within(value, least, most) ? value : null;
  return {
    system: typeof known.system === 'string' ? known.system : '',
    temperature: optional(known.temperature, 0, 2),
    topK: Math.round(number('topK', 0, 2 ** 31 - 1)),
    topP: number('topP', 0, 1),
    minP: number('minP', 0, 1),
    maxTokens: Math.round(number('maxTokens', 1, 2 ** 31 - 1)),
    seed: optional(known.seed, 0, 2 ** 31 - 1),
    contextSize: optional(known.contextSize, 16, 2 ** 31 - 1),
    largestContext: known.largestContext === true,
    memoryGigabytes: optional(known.memoryGigabytes, 0.001, 2 ** 31 - 1),
    device: devices.find((device) => device === known.device) ?? defaults.device,
    kv: kvTypes.find((type) => type === known.kv) ?? defaults.kv,
  };
});

/** ?device= goes before the setting until the person chooses another. */
const asked = new URLSearchParams(location.search).get('device');
const askedDevice = signal(devices.find((device) => device === asked) ?? null);
export const device = computed(() => askedDevice.value ?? settings.value.device);

export function chooseDevice(chosen: Settings['device']): void {
  askedDevice.value = null;
  change({ device: chosen });
}

/** What suits the loaded model, where the person has chosen nothing. */
export const suitingTemperature = signal(0.8);
export const temperature = computed(() => settings.value.temperature ?? suitingTemperature.value);

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/** What loading depends on. */
export function engineOptions(): EngineOptions {
  const { contextSize, largestContext, memoryGigabytes, kv } = settings.value;
  const memoryBudget = memoryGigabytes === null ? undefined : Math.round(memoryGigabytes * 1e9);
  return { contextSize: largestContext ? 'auto' : (contextSize ?? undefined), memoryBudget, device: device.value, kv };
}

export function samplingOptions(): GenerateOptions {
  const { topK, topP, minP, maxTokens, seed } = settings.value;
  return { temperature: temperature.value, topK, topP, minP, maxTokens, seed: seed ?? undefined };
}
