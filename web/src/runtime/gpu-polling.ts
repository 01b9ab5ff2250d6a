// Dawn in Node asks the driver by setImmediate, over and over, whether something is done: a core that is never idle.

/**
 * From now on Dawn asks once a millisecond. For programs of our own: it replaces the process's setImmediate, which
 * Dawn's callbacks alone go around.
 */
export function pollByTimer(): void {
  const immediate = globalThis.setImmediate;
  const replaced = (callback: (...values: unknown[]) => void, ...values: unknown[]): unknown =>
    isNative(callback) ? setTimeout(callback, 1, ...values) : immediate(callback, ...values);
  globalThis.setImmediate = Object.assign(replaced, immediate) as unknown as typeof setImmediate;
}

// Functions of addons have no name and no source; bound ones have a name.
function isNative(callback: unknown): boolean {
  return typeof callback === 'function' && callback.name === '' && String(callback).includes('[native code]');
}
