import type { Signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ownSampling } from '../sampling';
import { defaults, settings } from '../settings';
import { CloseIcon } from './icons';
import { KeptModels } from './kept-models';
import { LoadingSettings } from './loading-settings';
import { SamplingSettings } from './sampling-settings';
import { StorageOverview } from './storage-overview';

export function SettingsDrawer({ open }: { open: Signal<boolean> }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open.value]);
  // At once, not with the next frame: the page beneath takes no keys while the dialog is there.
  const close = (): void => {
    dialog.current?.close();
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
        <SamplingSettings />
        <LoadingSettings close={close} />
        {open.value && <KeptModels close={close} />}
        {open.value && <StorageOverview />}
        <button class="button-link" type="button" onClick={resetAll}>
          Reset all settings
        </button>
      </div>
    </dialog>
  );
}

function resetAll(): void {
  settings.value = { ...defaults };
  ownSampling.value = {};
}
