import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { readFromFile, saveToFile } from '../transfer';

export function TransferButtons({ any }: { any: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const told = useSignal('');
  const read = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    try {
      const count = await readFromFile(file);
      told.value = count === 1 ? 'One conversation was added.' : `${count} conversations were added.`;
    } catch (error) {
      told.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <>
      <div class="field-buttons">
        {any && (
          <button class="button-small" type="button" onClick={() => void saveToFile()}>
            Export all
          </button>
        )}
        <button class="button-small" type="button" onClick={() => input.current?.click()}>
          Import
        </button>
        <input
          ref={input}
          class="hidden"
          type="file"
          accept=".json,application/json"
          tabIndex={-1}
          aria-label="File with conversations"
          onChange={(event) => {
            void read(event.currentTarget.files?.[0]);
            event.currentTarget.value = '';
          }}
        />
      </div>
      <p class="note" role="status">
        {told.value}
      </p>
    </>
  );
}
