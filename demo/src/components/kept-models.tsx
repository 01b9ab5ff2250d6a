// The models that this browser keeps, so that they need no second download.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Pronk } from 'pronk';
import * as format from '../format';
import { type KeptFile, keptModels } from '../kept';
import { openUrl } from '../model';
import { report } from '../problems';

/** compact: only where there are some, to open or delete. */
export function KeptModels({ compact = false, close }: { compact?: boolean; close?(): void }) {
  const entries = useSignal<KeptFile[] | null>(null);
  const show = async (change?: Promise<unknown>): Promise<void> => {
    try {
      await change;
      entries.value = keptModels(await Pronk.cache.list());
    } catch (error) {
      if (!change) return; // storage is forbidden: nothing is kept
      report('The kept models cannot be changed', error);
    }
  };
  useEffect(() => void show(), []);
  if (entries.value === null || (compact && entries.value.length === 0)) return null;
  const Heading = compact ? 'h2' : 'h3';
  const total = entries.value.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <section class={compact ? 'kept kept-compact' : 'group kept'} aria-label="Kept models">
      <Heading class={compact ? 'list-title' : undefined}>
        Kept in this browser <span class="field-hint">{total > 0 ? format.bytes(total) : 'nothing yet'}</span>
      </Heading>
      <ul>
        {entries.value.map((entry) => (
          <li key={entry.url}>
            <span class="kept-name" title={entry.url}>
              {entry.name}
            </span>
            <span class="field-hint">{sizeText(entry)}</span>
            {!compact && (
              <label class="field-check">
                <input
                  type="checkbox"
                  checked={entry.pinned}
                  onChange={(event) => void show(Pronk.cache.pin(entry.url, event.currentTarget.checked))}
                />
                Keep always
              </label>
            )}
            <button
              class="button-link"
              type="button"
              aria-label={`Open ${entry.name}`}
              onClick={() => {
                close?.();
                openUrl(entry.url, false);
              }}
            >
              Open
            </button>
            <button
              class="button-link"
              type="button"
              aria-label={`Delete ${entry.name}`}
              onClick={() => void show(Pronk.cache.delete(entry.url))}
            >
              Delete
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function sizeText({ bytes, size, complete }: KeptFile): string {
  return complete ? format.bytes(bytes) : `${format.bytes(bytes)} of ${format.bytes(size)}, goes on from there`;
}
