// How much of the context is in use, and of memory.
import { contextUsed } from '../chat';
import * as format from '../format';
import { model } from '../model';
import { waitingBytes } from '../sessions';

export function Meter() {
  const state = model.value;
  if (state.at !== 'ready') return null;
  const { contextLength, memory } = state.plan;
  const used = Math.min(contextUsed.value, contextLength);
  const text = `${format.whole(used)} of ${format.whole(contextLength)} tokens`;
  return (
    <div class="meter">
      <meter aria-label="Context in use" aria-valuetext={text} min={0} max={contextLength} value={used} />
      <span class="meter-text">
        {text} · {format.bytes(memory.total + waitingBytes(state.engine))}
      </span>
    </div>
  );
}
