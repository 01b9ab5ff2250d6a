// The kernels of the loaded model, measured on this GPU.
import { useSignal } from '@preact/signals';
import type { Pronk, TuneResult } from 'pronk';
import { answering } from '../chat';
import { busy } from '../model';
import { useStoppable } from './stoppable';

export function Tune({ engine }: { engine: Pronk }) {
  const result = useSignal<TuneResult | null>(null);
  const { running, start, stop } = useStoppable('The GPU could not be measured', async (signal) => {
    result.value = await engine.tune({ signal });
  });
  return (
    <>
      <h3>Fit the model to this GPU</h3>
      <p class="note">
        Most of the model’s kernels can be cut in several ways, and which is fastest differs from GPU to GPU. This tries
        them for up to a minute. What it finds is kept in this browser.
      </p>
      <div class="field-buttons">
        {running.value ? (
          <button class="button" type="button" onClick={stop}>
            Stop
          </button>
        ) : (
          <button
            class="button"
            type="button"
            disabled={busy.value || answering.value !== 'no'}
            onClick={() => void start()}
          >
            Try them
          </button>
        )}
        <span class="note" role="status">
          {running.value ? 'Trying …' : result.value ? summary(result.value) : ''}
        </span>
      </div>
    </>
  );
}

function summary({ choices, problems }: TuneResult): string {
  const faster = choices.filter(({ fastest, standard }) => fastest !== standard);
  const tried = `${choices.length} of ${problems} kernels tried`;
  if (faster.length === 0) return `${tried}: they are as fast as they get.`;
  const gain = Math.max(...faster.map((one) => one.standardMicroseconds / one.fastestMicroseconds));
  return `${tried}: ${faster.length} can be faster, one by ${gain.toFixed(1)} times. They are used when the model is loaded again.`;
}
