// What loading a model depends on.
import { answering } from '../chat';
import { type IdleTuning, idleTuning } from '../idle-tuning';
import { model, needsReload, reload } from '../model';
import { change, chooseDevice, defaults, device, type Settings, settings } from '../settings';
import { Choice, NumberField } from './fields';

export function LoadingSettings({ close }: { close(): void }) {
  const at = settings.value;
  const state = model.value;
  const trained = state.at === 'ready' ? `up to ${state.plan.trainedContextLength.toLocaleString('en')}` : 'tokens';
  return (
    <fieldset class="group">
      <legend>Used when a model is loaded</legend>
      <div class="field-pair">
        <NumberField
          label="Context length"
          hint={`${trained}, empty for automatic`}
          value={at.contextSize}
          min={16}
          disabled={at.largestContext}
          set={(contextSize) => change({ contextSize })}
        />
        <Choice label="Device" value={device.value} choices={deviceNames} set={chooseDevice} />
      </div>
      <label class="field-check">
        <input
          type="checkbox"
          checked={at.largestContext}
          onChange={(event) => change({ largestContext: event.currentTarget.checked })}
        />
        Context as long as memory allows
      </label>
      <NumberField
        label="Memory budget"
        hint="GB for everything the model takes"
        value={at.memoryGigabytes}
        min={0.1}
        step={0.1}
        set={(memoryGigabytes) => change({ memoryGigabytes })}
      />
      <label class="field-check">
        <input
          type="checkbox"
          checked={at.tuneWhenIdle}
          onChange={(event) => change({ tuneWhenIdle: event.currentTarget.checked })}
        />
        Fit models to this GPU while nothing else happens
      </label>
      <p class="field-hint" role="status">
        {tuningText(idleTuning.value)}
      </p>
      <details class="advanced" open={at.kv !== defaults.kv}>
        <summary>Advanced</summary>
        <Choice
          label="KV cache type"
          hint="What the model remembers of the text takes this much memory"
          value={at.kv}
          choices={kvNames}
          set={(kv) => change({ kv })}
        />
      </details>
      {needsReload() && (
        <button
          class="button"
          type="button"
          disabled={answering.value !== 'no'}
          onClick={() => {
            close();
            void reload();
          }}
        >
          Load the model again
        </button>
      )}
    </fieldset>
  );
}

function tuningText(tuning: IdleTuning): string {
  if (tuning.at === 'waiting') return 'Waits for a quiet moment';
  if (tuning.at === 'measuring') return 'Trying which of its kernels are fastest here';
  if (tuning.at !== 'done') return '';
  if (tuning.problems === 0) return 'This model has been fitted before';
  if (tuning.faster === 0) return 'Done: its kernels were the fastest already';
  const faster = tuning.faster === 1 ? 'One of its kernels' : `${tuning.faster} of its kernels`;
  return `${faster} can be faster: used when it is loaded again`;
}

const deviceNames: Record<Settings['device'], string> = { auto: 'Automatic', webgpu: 'GPU (WebGPU)', cpu: 'CPU' };

const kvNames: Record<Settings['kv'], string> = {
  f16: '16-bit (f16)',
  q8_0: '8-bit: about half (q8_0)',
  q4_0: '4-bit: about a quarter, less exact (q4_0)',
  f32: '32-bit: twice as much (f32)',
};
