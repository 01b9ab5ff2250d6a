// Which of the WASM modules (cmake/wasm.cmake) an engine gets.

export const moduleFiles = {
  plain: 'pronk.wasm',
  threads: 'pronk-threads.wasm',
  relaxed: 'pronk-relaxed.wasm',
  tune: 'pronk-tune.wasm',
} as const;
/** What reads folders. */
export const folderModuleFile = 'pronk-folder.wasm';
export type ModuleName = keyof typeof moduleFiles;

export interface ModuleChoice {
  name: ModuleName;
  /** The memory that the module is to have; null: it brings its own. */
  memory: WebAssembly.Memory | null;
}

// () -> () with i32x4.relaxed_dot_i8x16_i7x16_add_s in its body.
const relaxedSimd = new Uint8Array([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00],
  ...[0x0a, 0x14, 0x01, 0x12, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f],
  ...[0xfd, 0x93, 0x02, 0x1a, 0x0b],
]);

const initialPages = 64; // as the modules are linked
// An engine may not have the addresses for all that a module could use.
const maximumPages = [65535, 32768, 16384];

/** A page that is not cross-origin isolated can have such a memory too, where the browser has them; null: it cannot. */
function makeSharedMemory(): WebAssembly.Memory | null {
  for (const maximum of maximumPages) {
    try {
      return new WebAssembly.Memory({ initial: initialPages, maximum, shared: true });
    } catch {
      // the next is smaller
    }
  }
  return null;
}

/** What a module is for: the CPU with so many threads; 0: a GPU; 'tune': measuring a GPU's kernels. */
export type Work = number | 'tune';

export function chooseModule(work: Work): ModuleChoice {
  if (work === 'tune') return { name: 'tune', memory: null };
  const threads = work;
  const relaxed = threads > 0 && WebAssembly.validate(relaxedSimd);
  const memory = threads > 1 || relaxed ? makeSharedMemory() : null;
  if (!memory) return { name: 'plain', memory: null };
  return { name: relaxed ? 'relaxed' : 'threads', memory };
}
