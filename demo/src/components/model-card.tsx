// What a chosen model costs, and how far its loading is.
import * as format from '../format';
import { cancel, loadChosen, loadShorter, model, modelName, type Next } from '../model';
import { Memory, summary } from './memory';
import { Preflight } from './preflight';
import { Progress } from './progress';

export function ModelCard({ state }: { state: Next }) {
  const { choice } = state;
  const plan = state.at === 'planning' ? null : state.plan;
  return (
    <section class="card" aria-label="Model">
      <div class="card-head">
        <h2>{modelName(choice, plan)}</h2>
        <p class="card-sub">{plan ? summary(plan) : 'Reading what the file holds …'}</p>
      </div>
      {state.at === 'planned' ? <Preflight plan={state.plan} /> : plan && <Memory plan={plan} />}
      {state.at === 'planning' && <div class="bar bar-unknown" role="progressbar" aria-label="Reading the header" />}
      {state.at === 'loading' && <Progress progress={state.progress} />}
      {model.value.at === 'ready' && (
        <p class="note">{modelName(model.value.choice, model.value.plan)} keeps answering until this one is ready.</p>
      )}
      <div class="card-buttons">
        <button class="button" type="button" onClick={cancel}>
          Cancel
        </button>
        {state.at === 'planned' && !state.plan.fits && state.plan.largestContext > 0 && (
          <button class="button-main" type="button" onClick={() => void loadShorter()}>
            Load with {format.whole(state.plan.largestContext)} tokens
          </button>
        )}
        {state.at === 'planned' && state.plan.fits && (
          <button
            class="button-main"
            type="button"
            ref={(button) => {
              if (document.activeElement === document.body) button?.focus();
            }}
            onClick={() => void loadChosen()}
          >
            Load model
          </button>
        )}
      </div>
    </section>
  );
}
