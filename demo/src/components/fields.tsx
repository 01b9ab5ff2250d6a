// The fields of the settings.
import { useId } from 'preact/hooks';

interface SliderProps {
  label: string;
  hint: string;
  value: number;
  min?: number;
  max: number;
  step: number;
  set(value: number): void;
}

export function Slider({ label, hint, value, min = 0, max, step, set }: SliderProps) {
  const id = useId();
  return (
    <div class="field">
      <label class="field-name" for={id}>
        {label} <output for={id}>{value.toFixed(2)}</output>
      </label>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-describedby={`${id}-hint`}
        onInput={(event) => set(Number(event.currentTarget.value))}
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

export function NumberField({ label, hint, value, min, step = 1, disabled = false, set }: NumberFieldProps) {
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

interface ChoiceProps<T extends string> {
  label: string;
  hint?: string;
  value: T;
  choices: Record<T, string>;
  set(value: T): void;
}

export function Choice<T extends string>({ label, hint, value, choices, set }: ChoiceProps<T>) {
  return (
    <label class="field">
      <span class="field-name">{label}</span>
      <select value={value} onChange={(event) => set(event.currentTarget.value as T)}>
        {Object.entries<string>(choices).map(([choice, name]) => (
          <option key={choice} value={choice}>
            {name}
          </option>
        ))}
      </select>
      {hint && <span class="field-hint">{hint}</span>}
    </label>
  );
}
