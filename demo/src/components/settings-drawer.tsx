import type { Signal } from '@preact/signals';
import { useEffect, useId, useRef } from 'preact/hooks';
import { answering, storyMode } from '../chat';
import { model, needsReload, reload } from '../model';
import { change, chooseDevice, defaults, device, kvTypes, type Settings, settings, temperature } from '../settings';
import { CloseIcon } from './icons';
import { KeptModels } from './kept-models';

export function SettingsDrawer({ open }: { open: Signal<boolean> }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open.value]);
  const close = (): void => {
    open.value = false;
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog by itself.
    <dialog
      ref={dialog}
      class="drawer"
      aria-label="Settings"
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="drawer-body">
        <div class="drawer-head">
          <h2>Settings</h2>
          <button class="button-icon" type="button" aria-label="Close settings" onClick={close}>
            <CloseIcon />
          </button>
        </div>
        <Sampling />
        <Loading close={close} />
        {open.value && <KeptModels />}
      </div>
    </dialog>
  );
}

function Sampling() {
  const at = settings.value;
  return (
    <>
      {!storyMode.value && (
        <label class="field">
          <span class="field-name">System prompt</span>
          <textarea
            rows={3}
            value={at.system}
            placeholder="How the model should behave"
            onInput={(event) => change({ system: event.currentTarget.value })}
          />
        </label>
      )}
      <Slider name="temperature" label="Temperature" hint="0 always takes the likeliest word" max={2} step={0.05} />
      <Slider name="topP" label="Top-p" hint="Only the likeliest words up to this share" max={1} step={0.01} />
      <Slider name="minP" label="Min-p" hint="Only words this likely next to the likeliest" max={0.5} step={0.01} />
      <div class="field-pair">
        <NumberField
          label="Top-k"
          hint="0 for all"
          value={at.topK}
          min={0}
          set={(v) => change({ topK: v ?? defaults.topK })}
        />
        <NumberField
          label="Longest answer"
          hint="tokens"
          value={at.maxTokens}
          min={1}
          set={(v) => change({ maxTokens: v ?? defaults.maxTokens })}
        />
      </div>
      <NumberField
        label="Seed"
        hint="empty for a new one each time"
        value={at.seed}
        min={0}
        set={(seed) => change({ seed })}
      />
    </>
  );
}

function Loading({ close }: { close(): void }) {
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
        <label class="field">
          <span class="field-name">Device</span>
          <select
            value={device.value}
            onChange={(event) => chooseDevice(event.currentTarget.value as Settings['device'])}
          >
            <option value="auto">Automatic</option>
            <option value="webgpu">GPU (WebGPU)</option>
            <option value="cpu">CPU</option>
          </select>
        </label>
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
        <label class="field">
          <span class="field-name">KV cache type</span>
          <select value={at.kv} onChange={(event) => change({ kv: event.currentTarget.value as Settings['kv'] })}>
            {kvTypes.map((type) => (
              <option key={type} value={type}>
                {kvNames[type]}
              </option>
            ))}
          </select>
          <span class="field-hint">What the model remembers of the text takes this much memory</span>
        </label>
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
      <button class="button-link" type="button" onClick={() => (settings.value = { ...defaults })}>
        Reset all settings
      </button>
    </fieldset>
  );
}

const kvNames: Record<Settings['kv'], string> = {
  f16: '16-bit (f16)',
  q8_0: '8-bit: about half (q8_0)',
  q4_0: '4-bit: about a quarter, less exact (q4_0)',
  f32: '32-bit: twice as much (f32)',
};

interface SliderProps {
  name: 'temperature' | 'topP' | 'minP';
  label: string;
  hint: string;
  max: number;
  step: number;
}

function Slider({ name, label, hint, max, step }: SliderProps) {
  const id = useId();
  const value = name === 'temperature' ? temperature.value : settings.value[name];
  return (
    <div class="field">
      <label class="field-name" for={id}>
        {label} <output for={id}>{value.toFixed(2)}</output>
      </label>
      <input
        id={id}
        type="range"
        min={0}
        max={max}
        step={step}
        value={value}
        aria-describedby={`${id}-hint`}
        onInput={(event) => change({ [name]: Number(event.currentTarget.value) })}
      />
      <span class="field-hint" id={`${id}-hint`}>
        {hint}
      </span>
    </div>
  );
}

interface NumberFieldProps {
  label: string;
  hint: string;
  value: number | null;
  min: number;
  step?: number;
  disabled?: boolean;
  set(value: number | null): void;
}

function NumberField({ label, hint, value, min, step = 1, disabled = false, set }: NumberFieldProps) {
  const onChange = (field: HTMLInputElement): void => {
    const number = step < 1 ? Number(field.value) : Math.round(Number(field.value));
    const good = field.value.trim() !== '' && number >= min && number <= 2 ** 31 - 1;
    set(good ? number : null);
    field.value = good ? String(number) : '';
  };
  return (
    <label class="field">
      <span class="field-name">{label}</span>
      <input
        type="number"
        inputMode={step < 1 ? 'decimal' : 'numeric'}
        min={min}
        step={step}
        disabled={disabled}
        value={value ?? ''}
        placeholder="automatic"
        onChange={(event) => onChange(event.currentTarget)}
      />
      <span class="field-hint">{hint}</span>
    </label>
  );
}
