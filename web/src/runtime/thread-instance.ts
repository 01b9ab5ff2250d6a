// A thread's side: an instance of the module over the memory of the first, in a worker of its own.
import { messageOf } from './errors.js';
import type { ThreadExports } from './module.js';
import type { FromThread, ThreadStart } from './threads.js';

/** Does not return unless the thread cannot work. */
export async function runThread(start: ThreadStart, tell: (message: FromThread) => void): Promise<void> {
  let log = '';
  const pronk: Record<string, WebAssembly.ImportValue> = { memory: start.memory };
  for (const { name } of WebAssembly.Module.imports(start.compiled)) {
    pronk[name] ??= () => {
      throw new Error(`a thread called the host's function '${name}'`);
    };
  }
  pronk['log'] = (at: number, length: number) => {
    log += new TextDecoder().decode(new Uint8Array(start.memory.buffer, at >>> 0, length >>> 0).slice());
  };
  let exports: ThreadExports | null = null;
  try {
    exports = (await WebAssembly.instantiate(start.compiled, { pronk })).exports as unknown as ThreadExports;
    exports.__stack_pointer.value = start.stack;
    tell({ type: 'serving' });
    exports.pronk_thread(start.thread, start.stack);
  } catch (error) {
    if (exports) {
      exports.__stack_pointer.value = start.stack;
      exports.pronk_thread_lost();
    }
    tell({ type: 'ended', why: log.trim() || messageOf(error) });
  }
}
