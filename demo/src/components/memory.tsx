// What a model takes, as a picture.
import type { Plan } from 'pronk';
import * as format from '../format';

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
