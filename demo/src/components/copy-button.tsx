import { useSignal } from '@preact/signals';
import { CheckIcon, CopyIcon } from './icons';

export function CopyButton({ text, label }: { text: string; label: string }) {
  const justCopied = useSignal(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      justCopied.value = true;
      setTimeout(() => (justCopied.value = false), 1500);
    } catch {
      // not allowed: the button simply does not confirm
    }
  };
  return (
    <button class="button-icon" type="button" title={label} aria-label={label} onClick={() => void copy()}>
      {justCopied.value ? <CheckIcon /> : <CopyIcon />}
    </button>
  );
}
