import type { EngineOptions, GenerateOptions } from 'pronk';
import { stored } from './storage';

export interface Settings {
  system: string;
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  maxTokens: number;
  seed: number | null; // null: random
  contextSize: number | null; // null: as the model suggests
  device: 'auto' | 'webgpu' | 'cpu';
}

export const defaults: Settings = {
  system: '',
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  maxTokens: 1024,
  seed: null,
  contextSize: null,
  device: 'auto',
};

export const settings = stored<Settings>('settings', (found) => {
  const known = (typeof found === 'object' && found !== null ? found : {}) as Partial<Settings>;
  const number = (value: unknown, otherwise: number): number =>
    typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
  const optional = (value: unknown): number | null => (typeof value === 'number' && value >= 0 ? value : null);
  return {
    system: typeof known.system === 'string' ? known.system : '',
    temperature: number(known.temperature, defaults.temperature),
    topK: number(known.topK, defaults.topK),
    topP: number(known.topP, defaults.topP),
    minP: number(known.minP, defaults.minP),
    maxTokens: number(known.maxTokens, defaults.maxTokens),
    seed: optional(known.seed),
    contextSize: optional(known.contextSize),
    device: known.device === 'webgpu' || known.device === 'cpu' ? known.device : 'auto',
  };
});

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/** What loading depends on. */
export function engineOptions(): EngineOptions {
  const { contextSize, device } = settings.value;
  return { contextSize: contextSize ?? undefined, device };
}

export function samplingOptions(): GenerateOptions {
  const { temperature, topK, topP, minP, maxTokens, seed } = settings.value;
  return { temperature, topK, topP, minP, maxTokens, seed: seed ?? undefined };
}
