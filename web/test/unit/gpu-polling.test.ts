import { promisify } from 'node:util';
import { afterEach, expect, it, vi } from 'vitest';
import { pollByTimer } from '../../src/runtime/gpu-polling.js';

const immediate = globalThis.setImmediate;

afterEach(() => {
  globalThis.setImmediate = immediate;
  vi.restoreAllMocks();
});

it('gives timers to nameless functions of native code, and to no other', async () => {
  pollByTimer();
  const timers = vi.spyOn(globalThis, 'setTimeout');
  setImmediate(Function.prototype as () => void); // nameless and native, as Dawn's are
  expect(timers).toHaveBeenCalledTimes(1);
  const given = await new Promise((resolve) => setImmediate(resolve.bind(null), 7));
  const later = await new Promise((resolve) => setImmediate((value) => resolve(value), 8));
  expect([given, later, await promisify(setImmediate)(9)]).toEqual([7, 8, 9]);
  expect(timers).toHaveBeenCalledTimes(1);
});
