// What was measured of a GPU's kernels (src/tune): where it is kept, and measuring more.
import { type PronkError, throwIfAborted } from './errors.js';
import { sha256, toHex } from './hash.js';
import type { EngineModule } from './module.js';
import type { TuneResult } from './types.js';

/** Small texts by name. null: there is none, or it cannot be read. */
export interface TextStore {
  readText(name: string): Promise<string | null>;
  /** Old or new after a crash. */
  writeText(name: string, text: string): Promise<void>;
}

/** As the command line names it, for the adapter and its driver. */
async function nameOf(module: EngineModule): Promise<string> {
  module.call((m) => m.pronk_adapter());
  return `tuning-${toHex(await sha256(module.result())).slice(0, 16)}.txt`;
}

/** Gives a module what was measured before on its device; what is damaged or foreign counts as nothing. */
export async function takeTuning(module: EngineModule, store: TextStore | null): Promise<void> {
  const text = await store?.readText(await nameOf(module));
  if (!text) return;
  try {
    module.withText(text, (at, length) => module.call((m) => m.pronk_set_tuning(at, length)));
  } catch (error) {
    if ((error as PronkError).code !== 'bad-argument') throw error;
  }
}

/**
 * Of a module that measures already; `next` waits for an event of its device. What was measured is kept, also where it is
 * aborted.
 */
export async function finishTuning(
  module: EngineModule,
  store: TextStore | null,
  next: () => Promise<void>,
  signal?: AbortSignal,
): Promise<TuneResult> {
  while (module.call((m) => m.pronk_tune_pump()) === 0) {
    await next();
    if (signal?.aborted && module.call((m) => m.pronk_tune_end())) break;
  }
  const { text, problems, choices } = module.resultObject();
  if (choices !== '') await store?.writeText(await nameOf(module), String(text));
  throwIfAborted(signal);
  return { problems: Number(problems), choices: choicesOf(String(choices)) };
}

function choicesOf(lines: string): TuneResult['choices'] {
  return lines
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [kernel, standard, fastest, before, after] = line.split('\t');
      return {
        kernel: kernel!,
        standard: standard!,
        fastest: fastest!,
        standardMicroseconds: Number(before),
        fastestMicroseconds: Number(after),
      };
    });
}
