// What loading a model depends on.
import { answering } from '../chat';
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

const deviceNames: Record<Settings['device'], string> = { auto: 'Automatic', webgpu: 'GPU (WebGPU)', cpu: 'CPU' };

const kvNames: Record<Settings['kv'], string> = {
  f16: '16-bit (f16)',
  q8_0: '8-bit: about half (q8_0)',
  q4_0: '4-bit: about a quarter, less exact (q4_0)',
  f32: '32-bit: twice as much (f32)',
};
