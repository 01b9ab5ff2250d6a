// How fast a model will be here, from how fast others were: a token reads all weights once.
import { stored } from './storage';

interface Measured {
  name: string; // of the model
  bytesPerSecond: number; // of weights
}

type Device = 'webgpu' | 'cpu';

const accept = (found: unknown): Measured | undefined => {
  if (typeof found !== 'object' || found === null) return undefined;
  const { name, bytesPerSecond } = found as Measured;
  return typeof name === 'string' && bytesPerSecond > 0 && Number.isFinite(bytesPerSecond)
    ? { name, bytesPerSecond }
    : undefined;
};

/** The best of each device: small models spend more time on other things than weights. */
const measured = stored<Partial<Record<Device, Measured>>>('speed', (found) => {
  const known = found as Record<string, unknown>;
  return { webgpu: accept(known.webgpu), cpu: accept(known.cpu) };
});

const fewest = 8; // tokens of an answer that says something of the speed

export function noteSpeed(
  device: Device,
  name: string,
  weights: number,
  tokens: number,
  tokensPerSecond: number,
): void {
  const bytesPerSecond = weights * tokensPerSecond;
  if (tokens < fewest || bytesPerSecond <= (measured.value[device]?.bytesPerSecond ?? 0)) return;
  measured.value = { ...measured.value, [device]: { name, bytesPerSecond } };
}

export interface Expected {
  tokensPerSecond: number;
  by: string; // the model that it is judged by
}

/** null: nothing has been measured on this device. */
export function expectedSpeed(device: Device, weights: number): Expected | null {
  const known = measured.value[device];
  return known && weights > 0 ? { tokensPerSecond: known.bytesPerSecond / weights, by: known.name } : null;
}
