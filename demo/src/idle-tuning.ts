// Fits the loaded model to this GPU while nobody waits for anything: up to a minute a model and visit, in as many pieces as
// it takes. What is found is kept at once and used when the model is next loaded.
import { computed, effect, signal } from '@preact/signals';
import type { Pronk } from 'pronk';
import { answering } from './chat';
import { draft } from './conversation';
import { busy, model, next } from './model';
import { settings } from './settings';

const calm = 10_000; // milliseconds in which nothing happens before it begins
const most = 60_000; // and for which it measures

/** 'no': there is nothing to be measured. done: how many kernels had not been measured before, and what came of it. */
export type IdleTuning = { at: 'no' | 'waiting' | 'measuring' } | { at: 'done'; problems: number; faster: number };
export const idleTuning = signal<IdleTuning>({ at: 'no' });

const spent = new WeakMap<Pronk, number>();
const visible = signal(true);

const engine = computed(() => {
  const state = model.value;
  return state.at === 'ready' && state.plan.device === 'webgpu' && settings.value.tuneWhenIdle ? state.engine : null;
});
const idle = computed(() => visible.value && answering.value === 'no' && !busy.value && next.value === null);

export function tuneWhenIdle(): void {
  const see = (): void => {
    visible.value = document.visibilityState === 'visible';
  };
  see();
  document.addEventListener('visibilitychange', see);
  effect(() => {
    idleTuning.value = { at: engine.value ? 'waiting' : 'no' };
  });
  effect(() => {
    const tuned = engine.value;
    void draft.value; // who types is about to send
    if (!tuned || !idle.value || left(tuned) === 0) return;
    const abort = new AbortController();
    const timer = setTimeout(() => void measure(tuned, abort.signal), calm);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  });
}

const left = (tuned: Pronk): number => Math.max(0, most - (spent.get(tuned) ?? 0));

async function measure(tuned: Pronk, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  idleTuning.value = { at: 'measuring' };
  let ended: IdleTuning = { at: 'waiting' };
  let time: number;
  try {
    const { problems, choices } = await tuned.tune({ seconds: left(tuned) / 1000, missing: true, signal });
    ended = { at: 'done', problems, faster: choices.filter(({ fastest, standard }) => fastest !== standard).length };
    time = most;
  } catch {
    time = signal.aborted ? performance.now() - began : most; // a failure would come again; nobody asked for this
    if (!signal.aborted) ended = { at: 'no' };
  }
  spent.set(tuned, (spent.get(tuned) ?? 0) + time);
  if (engine.peek() === tuned) idleTuning.value = ended;
}
