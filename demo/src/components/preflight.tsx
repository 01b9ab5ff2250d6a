// Before a model is loaded: what it takes by how long a context, how fast it will be, and what each part is.
import { useSignal } from '@preact/signals';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { Plan } from 'pronk';
import * as format from '../format';
import { planWith } from '../model';
import { expectedSpeed } from '../speed';
import { Memory } from './memory';

const least = 64;
const calm = 400; // milliseconds without a move of the slider, then the exact plan is made

export function Preflight({ plan }: { plan: Plan }) {
  const wanted = useSignal(plan.contextLength);
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => {
    wanted.value = plan.contextLength;
  }, [plan]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const most = Math.max(plan.trainedContextLength, plan.contextLength);
  const move = (context: number): void => {
    wanted.value = context;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void planWith(context), calm);
  };
  return (
    <>
      {most > least && <ContextSlider value={wanted.value} most={most} set={move} />}
      <Memory plan={wanted.value === plan.contextLength ? plan : guessed(plan, wanted.value)} />
      <Speed plan={plan} />
      <Parts />
    </>
  );
}

/** The plan for another context, until the engine has made it: the KV cache grows with the context. */
function guessed(plan: Plan, contextLength: number): Plan {
  const kvCache = Math.round((plan.memory.kvCache * contextLength) / plan.contextLength);
  const total = plan.memory.total - plan.memory.kvCache + kvCache;
  return { ...plan, contextLength, memory: { ...plan.memory, kvCache, total } };
}

interface SliderProps {
  value: number;
  most: number;
  set(context: number): void;
}

/** In equal steps of a factor, since contexts go from hundreds to hundreds of thousands of tokens. */
function ContextSlider({ value, most, set }: SliderProps) {
  const id = useId();
  const steps = 100;
  const range = Math.log(most / least);
  const contextAt = (step: number): number => {
    const exact = least * Math.exp((range * step) / steps);
    return step >= steps ? most : Math.round(exact / 64) * 64;
  };
  return (
    <div class="field">
      <label class="field-name" for={id}>
        Context <output for={id}>{format.whole(value)} tokens</output>
      </label>
      <input
        id={id}
        type="range"
        min={0}
        max={steps}
        value={Math.round((steps * Math.log(Math.max(value, least) / least)) / range)}
        aria-valuetext={`${format.whole(value)} tokens`}
        aria-describedby={`${id}-hint`}
        onInput={(event) => set(contextAt(Number(event.currentTarget.value)))}
      />
      <span class="field-hint" id={`${id}-hint`}>
        How much text, prompt and answer together, the model can take in. It was trained for {format.whole(most)}.
      </span>
    </div>
  );
}

function Speed({ plan }: { plan: Plan }) {
  const expected = expectedSpeed(plan.device, plan.memory.weights);
  if (!expected) return <p class="note">Its speed is not known before a model has answered on this device.</p>;
  return (
    <p class="note">
      Expect about {format.rate(expected.tokensPerSecond)}, judging by {expected.by} on this device.
    </p>
  );
}

const parts = [
  ['Weights', 'what the model has learned. Each token reads nearly all of them, so they decide the speed.'],
  ['KV cache', 'what it remembers of the conversation. It grows with the context; its type is in the settings.'],
  ['Activations', 'the numbers on their way from layer to layer, used again for each token.'],
  ['All else', 'parameters, and room to bring weights in and results out.'],
] as const;

function Parts() {
  return (
    <details class="advanced">
      <summary>What is this memory for?</summary>
      <dl class="parts">
        {parts.map(([name, use]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{use}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
