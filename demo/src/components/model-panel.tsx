// What the loaded model is and takes, behind its name in the header; and the way to another.
import { signal } from '@preact/signals';
import type { Plan, Stats } from 'pronk';
import { answering } from '../chat';
import * as format from '../format';
import { type Choice, choosing, model, modelName, openBox, unload } from '../model';
import { Memory, summary } from './memory';

export const panelId = 'model-panel';

export function ModelPanel({ choice, plan }: { choice: Choice; plan: Plan | null }) {
  const close = (): void => document.getElementById(panelId)?.hidePopover();
  return (
    <section id={panelId} class="card panel" popover="auto" aria-label="Model" onToggle={() => void lookAtWork()}>
      <div class="card-head">
        <h2>{modelName(choice, plan)}</h2>
        <p class="card-sub">{plan ? summary(plan) : 'Getting ready …'}</p>
        {choice.builtin && (
          <p class="card-sub">
            Comes with this page: a very small model that shows how things work. Open another one for more.
          </p>
        )}
      </div>
      {plan && <Memory plan={plan} />}
      {plan && (
        <p class="note">
          <Work />{' '}
          <button class="button-link" type="button" onClick={() => (close(), (location.hash = 'bench'))}>
            Measure its speed
          </button>
        </p>
      )}
      <div class="card-buttons">
        {!choice.builtin && (
          <button class="button" type="button" disabled={answering.value !== 'no'} onClick={() => (close(), openBox())}>
            The small model
          </button>
        )}
        {plan && (
          <button
            class="button"
            type="button"
            title="Ends the model and gives its memory back"
            disabled={answering.value !== 'no'}
            onClick={() => (close(), void unload())}
          >
            Unload
          </button>
        )}
        <button class="button-main" type="button" onClick={() => (close(), (choosing.value = true))}>
          Another model
        </button>
      </div>
    </section>
  );
}

const stats = signal<Stats | null>(null);

/** Counts stand after the first answer; while one is written they would wait for it. */
async function lookAtWork(): Promise<void> {
  const state = model.value;
  stats.value = null;
  if (state.at !== 'ready' || answering.value !== 'no') return;
  stats.value = await state.engine.stats().catch(() => null);
}

function Work() {
  const now = stats.value;
  if (!now || now.generatedTokens === 0) return null;
  const { dispatchesPerToken, submitsPerToken } = now.counters;
  const work =
    dispatchesPerToken > 0
      ? `A token is ${format.whole(Math.round(dispatchesPerToken))} dispatches in ${submitsPerToken.toFixed(1)} submissions`
      : `A token is the work of ${now.threads === 1 ? 'one thread' : `${now.threads} threads`}`;
  const waiting =
    now.sessionBytes > 0 ? `, and ${format.bytes(now.sessionBytes)} more for the other conversations` : '';
  return <>{`${work}; ${format.bytes(now.allocated.total)} are allocated${waiting}.`}</>;
}
