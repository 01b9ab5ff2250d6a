// How answers are made in this conversation.
import { storyMode } from '../chat';
import { changeSampling, ownSampling, sampling, temperature, useForNewOnes } from '../sampling';
import { defaults, type Sampling } from '../settings';
import { NumberField, Slider } from './fields';
import { FormSettings } from './form-settings';

export function SamplingSettings() {
  const at = sampling.value;
  const own = Object.keys(ownSampling.value).length > 0;
  return (
    <fieldset class="group group-first">
      <legend>For this conversation</legend>
      {!storyMode.value && (
        <label class="field">
          <span class="field-name">System prompt</span>
          <textarea
            rows={3}
            value={at.system}
            placeholder="How the model should behave"
            onInput={(event) => changeSampling({ system: event.currentTarget.value })}
          />
        </label>
      )}
      <Sliders at={at} />
      <Numbers at={at} />
      {!storyMode.value && <FormSettings at={at} />}
      {own && (
        <div class="field-buttons">
          <button class="button-small" type="button" onClick={useForNewOnes}>
            Use for new conversations too
          </button>
          <button class="button-link" type="button" onClick={() => (ownSampling.value = {})}>
            Use the defaults again
          </button>
        </div>
      )}
    </fieldset>
  );
}

function Sliders({ at }: { at: Sampling }) {
  return (
    <>
      <Slider
        label="Temperature"
        hint="0 always takes the likeliest word"
        value={temperature.value}
        max={2}
        step={0.05}
        set={(value) => changeSampling({ temperature: value })}
      />
      <Slider
        label="Top-p"
        hint="Only the likeliest words up to this share"
        value={at.topP}
        max={1}
        step={0.01}
        set={(topP) => changeSampling({ topP })}
      />
      <Slider
        label="Min-p"
        hint="Only words this likely next to the likeliest"
        value={at.minP}
        max={0.5}
        step={0.01}
        set={(minP) => changeSampling({ minP })}
      />
      <Slider
        label="Repetition penalty"
        hint="Above 1 the model avoids repeating itself"
        value={at.repetition}
        min={0.5}
        max={2}
        step={0.05}
        set={(repetition) => changeSampling({ repetition })}
      />
    </>
  );
}

function Numbers({ at }: { at: Sampling }) {
  return (
    <>
      <div class="field-pair">
        <NumberField
          label="Top-k"
          hint="0 for all"
          value={at.topK}
          min={0}
          set={(v) => changeSampling({ topK: v ?? defaults.topK })}
        />
        <NumberField
          label="Longest answer"
          hint="tokens"
          value={at.maxTokens}
          min={1}
          set={(v) => changeSampling({ maxTokens: v ?? defaults.maxTokens })}
        />
      </div>
      <NumberField
        label="Seed"
        hint="empty for a new one each time"
        value={at.seed}
        min={0}
        set={(seed) => changeSampling({ seed })}
      />
    </>
  );
}
