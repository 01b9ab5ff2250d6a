// How much this site keeps in the browser, and whether the browser may delete it.
import { useEffect } from 'preact/hooks';
import * as format from '../format';
import { askToKeep, granted, lookAtStorage, storage } from '../offline';

export function StorageOverview() {
  useEffect(() => void lookAtStorage(), []);
  const now = storage.value;
  if (!now) return null;
  return (
    <section class="group" aria-label="Storage">
      <h3 class="list-title">Storage</h3>
      <div class="field">
        <meter aria-label="Storage in use" min={0} max={Math.max(now.quota, 1)} value={now.used} />
        <span class="field-hint">
          {format.bytes(now.used)} in use by models, conversations and this page, of {format.bytes(now.quota)} that the
          browser allows
        </span>
      </div>
      <p class="note" role="status">
        {now.kept
          ? 'The browser keeps it until you delete it.'
          : granted.value === false
            ? 'The browser did not agree: it may delete it when space is short. Installing the page often changes that.'
            : 'The browser may delete it when space is short.'}
      </p>
      {!now.kept && (
        <button class="button-small" type="button" onClick={() => void askToKeep()}>
          Ask the browser to keep it
        </button>
      )}
    </section>
  );
}
