// #bench: the speed of the loaded model, as a table and a plot.
import { useSignal } from '@preact/signals';
import { answering } from '../chat';
import * as format from '../format';
import { busy, model, modelName } from '../model';
import { closeSession, sessionOf } from '../sessions';
import { measure, type Row } from './measure';
import { Plot } from './plot';
import { useStoppable } from './stoppable';
import { Tune } from './tune';

const sessionName = 'bench';

export function BenchPage() {
  const rows = useSignal<Row[]>([]);
  const state = model.value;
  const { running, start, stop } = useStoppable('The speed could not be measured', async (signal) => {
    if (state.at !== 'ready') return;
    rows.value = [];
    try {
      const session = await sessionOf(state.engine, sessionName);
      await measure(session, signal, (row) => (rows.value = [...rows.value, row]));
    } finally {
      await closeSession(sessionName);
    }
  });
  return (
    <section class="bench" aria-label="Speed">
      <div class="drawer-head">
        <h2>Speed</h2>
        <button class="button" type="button" onClick={() => (location.hash = '')}>
          Back to the conversation
        </button>
      </div>
      {state.at === 'ready' ? <Subject /> : <p class="note">Load a model first.</p>}
      <div class="field-buttons">
        {running.value ? (
          <button class="button" type="button" onClick={stop}>
            Stop
          </button>
        ) : (
          <button
            class="button-main"
            type="button"
            disabled={state.at !== 'ready' || busy.value || answering.value !== 'no'}
            onClick={() => void start()}
          >
            Measure
          </button>
        )}
        <span class="note" role="status">
          {running.value ? 'Measuring …' : ''}
        </span>
      </div>
      {rows.value.length > 0 && <Table rows={rows.value} />}
      {rows.value.length > 1 && <Plot rows={rows.value} />}
      {state.at === 'ready' && state.plan.device === 'webgpu' && <Tune engine={state.engine} />}
    </section>
  );
}

function Subject() {
  const state = model.value;
  if (state.at !== 'ready') return null;
  const { plan, choice } = state;
  const where =
    plan.device === 'webgpu'
      ? 'the GPU'
      : plan.threads === 1
        ? 'the CPU, one thread'
        : `the CPU, ${plan.threads} threads`;
  return (
    <p class="note">
      {modelName(choice, plan)} on {where}, with {format.bytes(plan.memory.weights)} of weights. At each depth the model
      reads a prompt that long and writes 32 tokens, three times; the middle one counts.
    </p>
  );
}

const speed = (tokensPerSecond: number): string => (tokensPerSecond > 0 ? format.speed(tokensPerSecond) : '–');

function Table({ rows }: { rows: readonly Row[] }) {
  return (
    <table class="bench-table">
      <caption class="hidden">Speed by depth</caption>
      <thead>
        <tr>
          <th scope="col">Tokens in the context</th>
          <th scope="col">Reading, tokens/s</th>
          <th scope="col">Writing, tokens/s</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ depth, prefill, decode }) => (
          <tr key={depth}>
            <th scope="row">{format.whole(depth)}</th>
            <td>{speed(prefill)}</td>
            <td>{speed(decode)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
