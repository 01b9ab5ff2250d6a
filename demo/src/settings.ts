import { computed, signal } from '@preact/signals';
import type { EngineOptions, KvType } from 'pronk';
import type { Sampling } from './sampling-type';
import { stored } from './storage';

export type { Sampling } from './sampling-type';

export interface Settings extends Sampling {
  contextSize: number | null; // null: as the model suggests
  largestContext: boolean; // instead as many tokens as fit
  memoryGigabytes: number | null; // null: no budget but the device's
  device: 'auto' | 'webgpu' | 'cpu';
  kv: KvType;
  tuneWhenIdle: boolean; // see idle-tuning.ts
}

const defaultSampling: Sampling = {
  system: '',
  temperature: null,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetition: 1,
  maxTokens: 1024,
  seed: null,
  thinking: 'auto',
  form: 'text',
  schema: '',
  probabilities: false,
};

export const defaults: Settings = {
  ...defaultSampling,
  contextSize: null,
  largestContext: false,
  memoryGigabytes: null,
  device: 'auto',
  kv: 'f16',
  tuneWhenIdle: true,
};

const devices: readonly Settings['device'][] = ['auto', 'webgpu', 'cpu'];
export const kvTypes: readonly KvType[] = ['f16', 'q8_0', 'q4_0', 'f32'];
const thinkings: readonly Sampling['thinking'][] = ['auto', 'on', 'off'];
const forms: readonly Sampling['form'][] = ['text', 'json', 'schema'];
const most = 2 ** 31 - 1;

const within = (value: unknown, least: number, most: number): value is number =>
  typeof value === 'number' && value >= least && value <= most;
const optional = (value: unknown, least: number, most: number): number | null =>
  within(value, least, most) ? value : null;

/** Good values, from anything. */
export function acceptSampling(found: object): Sampling {
  const known = found as Partial<Sampling>;
  const number = (name: 'topK' | 'topP' | 'minP' | 'maxTokens' | 'repetition', least: number, most: number): number =>
    within(known[name], least, most) ? known[name] : defaults[name];
  return {
    system: typeof known.system === 'string' ? known.system : '',
    temperature: optional(known.temperature, 0, 2),
    topK: Math.round(number('topK', 0, most)),
    topP: number('topP', 0, 1),
    minP: number('minP', 0, 1),
    repetition: number('repetition', 0.5, 2),
    maxTokens: Math.round(number('maxTokens', 1, most)),
    seed: optional(known.seed, 0, most),
    thinking: thinkings.find((one) => one === known.thinking) ?? defaults.thinking,
    form: forms.find((one) => one === known.form) ?? defaults.form,
    schema: typeof known.schema === 'string' ? known.schema : '',
    probabilities: known.probabilities === true,
  };
}

export const settings = stored<Settings>('settings', (found) => {
  const known = found as Partial<Settings>;
  return {
    ...acceptSampling(known),
    contextSize: optional(known.contextSize, 16, most),
    largestContext: known.largestContext === true,
    memoryGigabytes: optional(known.memoryGigabytes, 0.001, most),
    device: devices.find((device) => device === known.device) ?? defaults.device,
    kv: kvTypes.find((type) => type === known.kv) ?? defaults.kv,
    tuneWhenIdle: known.tuneWhenIdle !== false,
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

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/** What loading depends on. */
export function engineOptions(): EngineOptions {
  const { contextSize, largestContext, memoryGigabytes, kv } = settings.value;
  const memoryBudget = memoryGigabytes === null ? undefined : Math.round(memoryGigabytes * 1e9);
  return { contextSize: largestContext ? 'auto' : (contextSize ?? undefined), memoryBudget, device: device.value, kv };
}
