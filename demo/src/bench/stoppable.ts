// Work on the loaded model that a person can stop, and that stops when its view goes.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { busy } from '../model';
import { report } from '../problems';

/** failed: what is said where it fails; nothing where it was stopped. */
export function useStoppable(failed: string, work: (signal: AbortSignal) => Promise<void>) {
  const running = useSignal(false);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const start = async (): Promise<void> => {
    abort.current = new AbortController();
    running.value = busy.value = true;
    try {
      await work(abort.current.signal);
    } catch (error) {
      report(failed, error);
    }
    running.value = busy.value = false;
  };
  return { running, start, stop: () => abort.current?.abort() };
}
