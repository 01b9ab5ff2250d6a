// What the loaded model is and takes, behind its name in the header; and the way to another.
import type { Plan } from 'pronk';
import { answering } from '../chat';
import { type Choice, choosing, modelName, openBox, unload } from '../model';
import { Memory, summary } from './memory';

export const panelId = 'model-panel';

export function ModelPanel({ choice, plan }: { choice: Choice; plan: Plan | null }) {
  const close = (): void => document.getElementById(panelId)?.hidePopover();
  return (
    <section id={panelId} class="card panel" popover="auto" aria-label="Model">
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
