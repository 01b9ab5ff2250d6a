// What a chosen model costs, and how far its loading is.
import type { LoadProgress, Plan } from 'pronk';
import * as format from '../format';
import { loadChosen, loadShorter, model, modelName, open, unload } from '../model';

const kinds = [
  ['weights', 'Weights'],
  ['kvCache', 'KV cache'],
  ['activations', 'Activations'],
  ['other', 'All else'],
] as const;

function partsOf({ memory }: Plan): Record<(typeof kinds)[number][0], number> {
  const { weights, kvCache, activations, parameters, staging, readback } = memory;
  return { weights, kvCache, activations, other: parameters + staging + readback };
}

export function ModelCard() {
  const state = model.value;
  if (state.at === 'none' || open.value || state.at === 'ready') return null;
  const { choice } = state;
  const plan = state.at === 'planning' ? null : state.plan;
  return (
    <section class="card" aria-label="Model">
      <div class="card-head">
        <h2>{modelName(choice, plan)}</h2>
        <p class="card-sub">{plan ? summary(plan) : 'Reading what the file holds …'}</p>
      </div>
      {plan && <Memory plan={plan} />}
      {state.at === 'planning' && <div class="bar bar-unknown" role="progressbar" aria-label="Reading the header" />}
      {state.at === 'loading' && <Progress progress={state.progress} />}
      <div class="card-buttons">
        <button class="button" type="button" onClick={() => void unload()}>
          Cancel
        </button>
        {state.at === 'planned' && !state.plan.fits && state.plan.largestContext > 0 && (
          <button class="button-main" type="button" onClick={() => void loadShorter()}>
            Load with {format.whole(state.plan.largestContext)} tokens
          </button>
        )}
        {state.at === 'planned' && state.plan.fits && (
          <button class="button-main" type="button" ref={(button) => button?.focus()} onClick={() => void loadChosen()}>
            Load model
          </button>
        )}
      </div>
    </section>
  );
}

export function summary(plan: Plan): string {
  const context = `context of ${format.whole(plan.contextLength)} tokens`;
  const use = plan.chat ? 'made for chat' : 'continues text';
  return `${plan.architecture} · ${format.count(plan.parameters)} weights · ${context} · ${use}`;
}

export function Memory({ plan }: { plan: Plan }) {
  const parts = partsOf(plan);
  const { total } = plan.memory;
  const { memoryBudget: budget } = plan;
  const scale = Math.max(total, budget ?? 0);
  const where = plan.device === 'webgpu' ? 'on the GPU' : 'on the CPU';
  return (
    <div class="memory">
      <p class="memory-total">
        <strong>{format.bytes(total)}</strong> of memory {where}
        <span class="memory-file">{format.bytes(plan.fileBytes)} to read</span>
      </p>
      <div class="stack-room" aria-hidden="true">
        <div class="stack" style={{ width: `${(100 * total) / scale}%` }}>
          {kinds.map(([kind]) => (
            <span key={kind} class={`stack-part kind-${kind}`} style={{ flexGrow: parts[kind] / total }} />
          ))}
        </div>
        {budget !== null && <span class="stack-budget" style={{ left: `${(100 * budget) / scale}%` }} />}
      </div>
      <dl class="legend">
        {kinds.map(([kind, label]) => (
          <div key={kind}>
            <dt>
              <span class={`swatch kind-${kind}`} aria-hidden="true" />
              {label}
            </dt>
            <dd>{format.bytes(parts[kind])}</dd>
          </div>
        ))}
      </dl>
      {plan.fits ? (
        <p class="note">{fitText(plan)}</p>
      ) : (
        <p class="note note-refusal" role="alert">
          It does not fit: {plan.refusal}.
        </p>
      )}
      {plan.deviceNote && <p class="note">Runs on the CPU: {plan.deviceNote}.</p>}
    </div>
  );
}

function fitText({ memoryBudget: budget, largestContext }: Plan): string {
  const within = budget === null ? 'It fits' : `It fits into the budget of ${format.bytes(budget)}`;
  return `${within}. Its context could be as long as ${format.whole(largestContext)} tokens.`;
}

function Progress({ progress }: { progress: LoadProgress | null }) {
  if (progress?.phase !== 'weights') {
    const text = progress?.phase === 'prepare' ? 'Preparing the device …' : 'Opening …';
    return (
      <div class="progress">
        <div class="bar bar-unknown" role="progressbar" aria-label={text} />
        <p class="progress-text">{text}</p>
      </div>
    );
  }
  const { loadedBytes, totalBytes, bytesPerSecond = 0, secondsLeft, fromCache } = progress;
  const share = totalBytes > 0 ? loadedBytes / totalBytes : 0;
  return (
    <div class="progress">
      <div
        class="bar"
        role="progressbar"
        aria-label="Loading the weights"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
      >
        <span style={{ transform: `scaleX(${share})` }} />
      </div>
      <p class="progress-text">
        {format.bytes(loadedBytes)} of {format.bytes(totalBytes)}
        {bytesPerSecond > 0 && ` · ${format.bytes(bytesPerSecond)}/s`}
        {secondsLeft != null && ` · ${format.duration(secondsLeft)} left`}
        {fromCache ? ` · ${format.bytes(fromCache)} from the cache` : ''}
      </p>
    </div>
  );
}
